/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_UNTRUSTED_PATH_H
#define LIB_UNTRUSTED_PATH_H

#include "lib/base/compat.h"

/*
 * Names of files, and targets of symbolic links, that another qube chose. An accepted name has only
 * ordinary components and stays below the folder where it is used; an accepted link, in a tree whose
 * names were all accepted, leads nowhere outside the top-level object that holds it. Pure and total; both strings are NUL-terminated and of any length.
 */

enum untrusted_path_flags {
	UNTRUSTED_ANY_BYTES = 1,       /* any byte, not only characters that may be shown */
	UNTRUSTED_LOOSE_TARGETS = 2,   /* link targets may have "." and empty components */
	UNTRUSTED_ANY_LINKS = 4,       /* link targets are not looked at */
	UNTRUSTED_LOOSE_PATHS = 8,     /* names may have "." and empty components */
	UNTRUSTED_TRAILING_SLASH = 16, /* names may end in a slash */
	UNTRUSTED_PATH_FLAGS = 31,     /* all of them */
};

/**
 * untrusted_path_check() - may this be the name of a file or folder?
 * @flags:  enum untrusted_path_flags
 * Errors: 0; -EILSEQ: no; -EINVAL: unknown flag.
 */
int untrusted_path_check(const char *untrusted_name, unsigned int flags) MUST_CHECK;

/**
 * untrusted_link_check() - may a link of this name lead there?
 * @untrusted_name:    as for untrusted_path_check(); a link at the top level is always refused
 *                     without UNTRUSTED_ANY_LINKS
 * @untrusted_target:  relative; ".." only at its start, and not above the top-level object
 * Errors: 0; -EILSEQ: a character or form that may not be; -ENOLINK: it could lead out of the tree;
 *         -EINVAL: unknown flag.
 */
int untrusted_link_check(const char *untrusted_name, const char *untrusted_target,
                         unsigned int flags) MUST_CHECK;

#endif
