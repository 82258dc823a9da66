/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk: depth first, in the order in which the file system lists. Each folder on the way stays
 * open and everything is opened relative to it, so no path is walked twice and none can be changed
 * under our feet by a link. A small file costs four calls: open, fstat, read, close.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filecopy/complain.h"
#include "filecopy/send_internal.h"
#include "lib/base/fd.h"

#define FILE_CLOEXEC (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int fail(struct sender *s, const char *what)
{
	complain(s->config->program, "%s %s", what, s->path);
	return -1;
}

/* The name of an object in the folder whose path is the first len bytes. */
static int set_path(struct sender *s, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	if (len + 1 + name_len + 1 > FILECOPY_NAME_MAX) {
		errno = ENAMETOOLONG;
		return fail(s, "a path of more than 16382 bytes below");
	}
	if (len > 0)
		s->path[len++] = '/';
	memcpy(s->path + len, name, name_len + 1);
	s->path_len = len + name_len;
	return 0;
}

static int send_link(struct sender *s, int folder, const char *name, struct stat *st)
{
	char target[PATH_MAX];
	struct filecopy_header header;
	ssize_t len;

	if (s->config->skip_links)
		return 0;
	len = readlinkat(folder, name, target, sizeof(target));
	if (len < 0)
		return fail(s, "readlink");
	st->st_size = len;
	if (send_header(s, st, &header))
		return -1;
	if (output_put(&s->out, target, (size_t)len)) {
		s->refused = true;
		return -1;
	}
	return 0;
}

static struct send_level *new_level(struct sender *s)
{
	if (s->n_levels == s->levels_max) {
		size_t max = s->levels_max ? 2 * s->levels_max : 64;
		struct send_level *levels = reallocarray(s->levels, max, sizeof(*levels));

		if (!levels)
			return NULL;
		s->levels = levels;
		s->levels_max = max;
	}
	return &s->levels[s->n_levels];
}

/* Its header; its contents are sent by the loop in send_tree(). */
static int enter_folder(struct sender *s, int folder, const char *name, const struct stat *st)
{
	OWNED_FD int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct send_level *level = new_level(s);

	if (fd < 0 || !level)
		return fail(s, "opendir");
	level->path_len = s->path_len;
	if (send_header(s, st, &level->header))
		return -1;
	level->dir = fdopendir(fd);
	if (!level->dir)
		return fail(s, "opendir");
	(void)fd_take(&fd);
	s->n_levels++;
	return 0;
}

static int send_open_file(struct sender *s, int fd, const struct stat *st)
{
	struct filecopy_header header;

	if (send_header(s, st, &header))
		return -1;
	return send_data(s, fd, st);
}

static int send_object(struct sender *s, int folder, const char *name)
{
	OWNED_FD int fd = -1;
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail(s, "stat");
	if (S_ISLNK(st.st_mode))
		return send_link(s, folder, name, &st);
	if (S_ISDIR(st.st_mode))
		return enter_folder(s, folder, name, &st);
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = openat(folder, name, FILE_CLOEXEC);
	/* What is there now counts: it may be another file than a moment ago, or none. */
	if (fd < 0 || fstat(fd, &st))
		return fail(s, "open");
	return S_ISREG(st.st_mode) ? send_open_file(s, fd, &st) : 0;
}

/* An entry that its folder calls a file: one call less if it is one. */
static int send_listed_file(struct sender *s, int folder, const char *name)
{
	OWNED_FD int fd = openat(folder, name, FILE_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return send_object(s, folder, name);
	return send_open_file(s, fd, &st);
}

/* The next entry of the innermost folder, or its end. */
static int send_next(struct sender *s)
{
	struct send_level *level = &s->levels[s->n_levels - 1];
	const struct dirent *entry;
	int folder = dirfd(level->dir);

	do {
		errno = 0;
		entry = readdir(level->dir);
	} while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	if (entry) {
		if (set_path(s, level->path_len, entry->d_name))
			return -1;
		if (entry->d_type == DT_REG)
			return send_listed_file(s, folder, entry->d_name);
		return send_object(s, folder, entry->d_name);
	}
	s->path_len = level->path_len;
	s->path[s->path_len] = '\0';
	if (errno)
		return fail(s, "readdir");
	(void)closedir(level->dir);
	level->dir = NULL;
	s->n_levels--;
	return send_header_again(s, &level->header);
}

int send_tree(struct sender *s, int folder, const char *name)
{
	if (set_path(s, 0, name) || send_object(s, folder, name))
		return -1;
	while (s->n_levels > 0) {
		if (send_next(s))
			return -1;
	}
	return 0;
}

void send_tree_end(struct sender *s)
{
	while (s->n_levels > 0)
		(void)closedir(s->levels[--s->n_levels].dir);
	free(s->levels);
	s->levels = NULL;
	s->levels_max = 0;
}
