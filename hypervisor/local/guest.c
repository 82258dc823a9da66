/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of what Skerry puts into every qube: programs and services at the paths that Qubes software
 * expects. It becomes the upper layer of each qube's root, so the template needs nothing of ours.
 *
 * It is copied once for each version of its files, to a folder with their digest in its name, because
 * a layer must not change under the qubes that run on it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define STATE_DIR "/var/lib/skerry"
#define PREFIX    "guest-"
#define OPEN_MAX  16 /* folders that a walk keeps open; chosen */

/* Without these there are no qubes. */
static const char *const needed[] = {"usr/lib/qubes/skerry-qube-init",
                                     "usr/lib/qubes/qrexec-agent"};

/* nftw() hands nothing of the caller's to its function. */
static struct {
	uint64_t sum;      /* digest so far */
	size_t source_len; /* bytes of the source's path */
	int dir;           /* where the copy goes */
} walk;

static uint64_t digest(uint64_t sum, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ ((const uint8_t *)data)[i]) * 1099511628211ULL;
	return sum;
}

/* Of where each file is, how long it is and when it changed (FNV-1a). The order is the folder's, which
 * stays while it does; at worst there is a copy more. */
static int add_to_digest(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + walk.source_len;

	(void)ftw;
	walk.sum = digest(walk.sum, name, strlen(name) + 1);
	walk.sum = digest(walk.sum, &type, sizeof(type));
	if (type == FTW_F) {
		walk.sum = digest(walk.sum, &st->st_size, sizeof(st->st_size));
		walk.sum = digest(walk.sum, &st->st_mtim, sizeof(st->st_mtim));
	}
	return 0;
}

static int copy_file(const char *from, const char *to, mode_t mode)
{
	OWNED_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	OWNED_FD int out = openat(walk.dir, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = in < 0 || out < 0 ? -1 : 1;

	while (n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	/* No set-user-id: it would mean nothing in a qube. */
	return n < 0 || fchmod(out, mode & 0755) ? -1 : 0;
}

static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return symlinkat(target, walk.dir, to);
}

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + walk.source_len;
	int r = 0;

	if (ftw->level == 0)
		return 0;
	name += *name == '/';
	if (type == FTW_D)
		r = mkdirat(walk.dir, name, 0755);
	else if (type == FTW_SL || type == FTW_SLN)
		r = copy_link(path, name);
	else if (type == FTW_F)
		r = copy_file(path, name, st->st_mode);
	if (r)
		LOG_ERRNO("%s", path);
	return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	if (remove(path))
		LOG_ERRNO("%s", path);
	return 0;
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Versions that no qube stands on; only called when none runs. */
static void remove_others(const char *state, const char *keep)
{
	DIR *d = opendir(state);
	struct dirent *entry;
	char path[PATH_MAX];

	while (d && (entry = readdir(d))) {
		int n = snprintf(path, sizeof(path), "%s/%s", state, entry->d_name);

		if (n > 0 && (size_t)n < sizeof(path) && strcmp(path, keep) != 0 &&
		    strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_tree(path);
	}
	if (d)
		(void)closedir(d);
}

static int make_state(char state[PATH_MAX])
{
	static const char *const folders[] = {"/var", "/var/lib", STATE_DIR};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (path_make(state, PATH_MAX, folders[i], NULL) ||
		    (mkdir(state, 0755) && errno != EEXIST))
			return -1;
	return 0;
}

/* Where it is installed, or laid out in a build tree (scripts/setup.sh). */
static int find_source(char path[PATH_MAX])
{
	static const char *const places[] = {"../../lib/skerry/qube",
	                                     "../qube-tree/usr/local/lib/skerry/qube", NULL};
	char file[PATH_MAX];

	if (path_program(path, PATH_MAX, places)) {
		LOG_ERRNO("the files of qubes (lib/skerry/qube) are not installed");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		int n = snprintf(file, sizeof(file), "%s/%s", path, needed[i]);

		if (n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0)
			continue;
		LOG_ERRNO("%s", file);
		return -1;
	}
	return 0;
}

static int copy_tree(const char *source, const char *to)
{
	OWNED_FD int dir = -1;

	if (mkdir(to, 0755))
		return -1;
	dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	walk.dir = dir;
	return dir < 0 ? -1 : nftw(source, copy_one, OPEN_MAX, FTW_PHYS);
}

int local_guest_make(struct local *local)
{
	char source[PATH_MAX], state[PATH_MAX];
	char temp[PATH_MAX + 16];
	int n;

	if (find_source(source))
		return -1;
	walk.sum = 14695981039346656037ULL;
	walk.source_len = strlen(source);
	if (make_state(state) || nftw(source, add_to_digest, OPEN_MAX, FTW_PHYS)) {
		LOG_ERRNO("%s, %s", state, source);
		return -1;
	}
	n = snprintf(local->guest, sizeof(local->guest), "%s/" PREFIX "%016llx", state,
	             (unsigned long long)walk.sum);
	if (n < 0 || (size_t)n >= sizeof(local->guest)) {
		LOG("%s: the path is too long", state);
		return -1;
	}
	if (local->n_qubes == 0)
		remove_others(state, local->guest);
	if (access(local->guest, F_OK) == 0)
		return 0;
	(void)snprintf(temp, sizeof(temp), "%s.new", local->guest);
	remove_tree(temp);
	if (copy_tree(source, temp) == 0 && rename(temp, local->guest) == 0)
		return 0;
	LOG_ERRNO("what goes into qubes cannot be put into %s", temp);
	remove_tree(temp);
	return -1;
}
