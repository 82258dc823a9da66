/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *root_prefix;

void paths_set_root(const char *root)
{
	root_prefix = root;
	(void)setenv("SKERRY_ROOT", root, 1);
}

const char *paths_root(void)
{
	if (!root_prefix) {
		const char *env = getenv("SKERRY_ROOT");

		root_prefix = env ? env : "";
	}
	return root_prefix;
}

int paths_user_root(char *dst, size_t dst_len)
{
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int n;

	/* The XDG rules: a path that is not absolute is as if it were not set. */
	if (data && data[0] == '/') {
		n = snprintf(dst, dst_len, "%s/skerry", data);
	} else if (home && home[0] == '/') {
		n = snprintf(dst, dst_len, "%s/.local/share/skerry", home);
	} else {
		errno = ENOENT;
		return -1;
	}
	if (n < 0 || (size_t)n >= dst_len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int paths_find_root(void)
{
	static char found[PATH_MAX];

	if (root_prefix || getenv("SKERRY_ROOT") || geteuid() == 0)
		return 0;
	if (paths_user_root(found, sizeof(found)))
		return errno == ENOENT ? 0 : -1;
	if (access(found, F_OK) == 0)
		paths_set_root(found);
	return 0;
}

int path_make(char *dst, size_t dst_len, const char *path, const char *name)
{
	const char *root = paths_root();
	size_t root_len = strlen(root);
	int n;

	while (root_len > 0 && root[root_len - 1] == '/')
		root_len--;
	n = snprintf(dst, dst_len, "%.*s%s%s%s", (int)root_len, root, path, name ? "/" : "",
	             name ? name : "");
	if (n < 0 || (size_t)n >= dst_len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int path_program(char *dst, size_t dst_len, const char *const *places)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return -1;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (; *places; places++) {
		int n = snprintf(dst, dst_len, "%s/%s", self, *places);

		if (n < 0 || (size_t)n >= dst_len) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (access(dst, X_OK) == 0)
			return 0;
	}
	errno = ENOENT;
	return -1;
}
