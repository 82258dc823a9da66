/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user's own system needs below its folder before it can start: dom0's services and the default policy,
 * as they were installed with this program. What is there already is the user's and stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/skerry_admin.h"
#include "tools/skerry_seed.h"

#define SEED_FILE_MAX 1048576 /* bytes of a policy file; chosen */

/* Below the folder of the program, or two above it where the prefix is /usr/local. */
static const char *const installed_places[] = {"../../../etc", "../../etc", "../etc"};

/* nftw() hands on no argument. */
static size_t source_len;
static const char *failed_path;

static int copy_file(const char *from, const char *to, mode_t mode)
{
	OWNED_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FD int out = -1;
	char *data;
	size_t len;
	int r;

	if (in < 0 || fd_read_to_end(in, 4096, SEED_FILE_MAX, &data, &len))
		return -1;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0755);
	r = out < 0 ? -1 : fd_write_all(out, data, len);
	free(data);
	if (out >= 0 && r)
		(void)unlink(to);
	return r;
}

static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return symlink(target, to);
}

static int copy_one(const char *from, const struct stat *st, int type, struct FTW *ftw)
{
	const char *below = from + source_len;
	char to[PATH_MAX];
	int r = -1;

	(void)ftw;
	if (path_make(to, sizeof(to), "/etc", *below ? below + 1 : NULL))
		return -1;
	if (type == FTW_D)
		r = mkdir(to, 0755);
	else if (type == FTW_SL || type == FTW_SLN)
		r = copy_link(from, to);
	else if (type == FTW_F && S_ISREG(st->st_mode))
		r = copy_file(from, to, st->st_mode);
	else
		r = 0; /* cannot be read: not for this user */
	if (r == 0 || errno == EEXIST)
		return 0;
	failed_path = arena_printf("%s", to);
	return -1;
}

/* The folder that holds qubes/policy.d and qubes-rpc of the installed system; false: there is none. */
static bool find_installed(char dst[PATH_MAX])
{
	char self[PATH_MAX], probe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (len < 0)
		return false;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(installed_places); i++) {
		int n = snprintf(probe, sizeof(probe), "%s/%s/qubes/policy.d/90-default.policy",
		                 self, installed_places[i]);

		if (n < 0 || (size_t)n >= sizeof(probe) || access(probe, R_OK))
			continue;
		probe[strlen(probe) - strlen("/qubes/policy.d/90-default.policy")] = '\0';
		return realpath(probe, dst) != NULL;
	}
	return false;
}

const char *seed_system(void)
{
	static const char *const parts[] = {"qubes/policy.d", "qubes-rpc"};
	char source[PATH_MAX], part[PATH_MAX], folder[PATH_MAX];

	if (!find_installed(source))
		return NULL;
	source_len = strlen(source);
	for (size_t i = 0; i < 2; i++) {
		static const char *const above[] = {"/etc", "/etc/qubes"};

		if (path_make(folder, sizeof(folder), above[i], NULL) ||
		    (mkdir(folder, 0755) && errno != EEXIST))
			return arena_printf("%s", folder);
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int n = snprintf(part, sizeof(part), "%s/%s", source, parts[i]);

		failed_path = arena_printf("%s", source);
		if (n < 0 || (size_t)n >= sizeof(part) || nftw(part, copy_one, 16, FTW_PHYS))
			return arena_printf("%s", failed_path);
	}
	return NULL;
}
