/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any name, target and text: what is accepted keeps the promises of lib/untrusted. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/untrusted/name.h"
#include "lib/untrusted/path.h"
#include "lib/untrusted/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* How deep a target leads from a folder, walked by hand; -1: above what it may not leave. */
static int walk(const char *path, int depth)
{
	while (*path) {
		size_t n = (size_t)(strchrnul(path, '/') - path);

		if (n == 2 && memcmp(path, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *path == '.'))
			depth++;
		if (depth < 1)
			return -1;
		path += n + (path[n] == '/');
	}
	return depth;
}

static void check_link(const char *name, const char *target, unsigned int flags)
{
	int depth;

	if (untrusted_link_check(name, target, flags))
		return;
	depth = walk(name, 0);
	CHECK(depth >= 1);
	if (flags & UNTRUSTED_ANY_LINKS)
		return;
	/* An empty one is for the file system to refuse. */
	CHECK(target[0] != '/' && depth >= 2 && walk(target, depth - 1) >= 1);
}

static void check_text(const char *text, size_t len)
{
	char *clean = malloc(len + 1);
	char *escaped = malloc(4 * len + 1);
	size_t n;

	CHECK(clean && escaped);
	n = untrusted_text_clean(clean, len + 1, text);
	CHECK(n >= 1 && n <= len + 1 && strlen(clean) == n - 1);
	CHECK(n == 1 || untrusted_text_shown(clean, n - 1));
	n = untrusted_text_escape(escaped, 4 * len + 1, text, len);
	CHECK(n >= len || len == 0);
	CHECK(n == 0 || untrusted_text_shown(escaped, n));
	free(clean);
	free(escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned int flags;
	char *name;
	size_t name_len;

	if (len == 0)
		return 0;
	flags = data[0] & UNTRUSTED_PATH_FLAGS;
	name = malloc(len + 1);
	CHECK(name);
	memcpy(name, data + 1, len - 1);
	name[len - 1] = name[len] = '\0';
	name_len = strlen(name);
	if (untrusted_path_check(name, flags & (UNTRUSTED_ANY_BYTES | UNTRUSTED_LOOSE_TARGETS |
	                                        UNTRUSTED_ANY_LINKS)) == 0)
		CHECK(walk(name, 1) > 1 && !strstr(name, "//") && name[0] != '/');
	/* What follows the first NUL is the target. */
	if (name_len < len - 1)
		check_link(name, name + name_len + 1,
		           flags & (UNTRUSTED_ANY_BYTES | UNTRUSTED_LOOSE_TARGETS |
		                    UNTRUSTED_ANY_LINKS));
	check_text(name, name_len);
	if (untrusted_qube_name_check(name, name_len) == UNTRUSTED_QUBE_NAME_OK)
		CHECK(name_len >= 1 && name_len <= 31 && !strchr(name, '/'));
	free(name);
	return 0;
}
