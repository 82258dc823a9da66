/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_TREE_CHECK_H
#define FILECOPY_TREE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/* Would the receiver take this? Asked before anything is sent, so that nothing stops half way. */

enum tree_check_result {
	TREE_CHECK_FINE = 0,
	TREE_CHECK_REFUSED = 1, /* it would not, or something cannot be read; told on stderr */
	TREE_CHECK_NEEDS_ALL_NAMES = 2, /* only with allow-all-names */
};

struct tree_check_config {
	const char *program; /* for messages */
	bool ignore_links;
	bool allow_links;
	bool allow_folders;
	bool allow_all_names;
};

/** tree_check_argument() - may this be named for a copy at all? false after a message */
bool tree_check_argument(const char *program, const char *path) MUST_CHECK;

/**
 * tree_check() - looks at everything that a path names
 * @path:       without a slash at its end
 * @ret_bytes:  sizes of files and of links' targets are added; what the progress counts up to
 */
enum tree_check_result tree_check(const struct tree_check_config *config, const char *path,
                                  uint64_t *ret_bytes) MUST_CHECK;

#endif
