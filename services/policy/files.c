/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/policy/policy.h"

/*
 * Policy text from disk. Everything looked at is noted with what stat said when it was opened,
 * so that a change made while loading is seen by the next comparison, not lost.
 */

static int64_t stamp(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fill_input(struct policy_input *input, const struct stat *st)
{
	input->missing = st == NULL;
	if (!st)
		return;
	input->dev = st->st_dev;
	input->ino = st->st_ino;
	input->size = S_ISDIR(st->st_mode) ? 0 : st->st_size;
	input->mtime_ns = stamp(st->st_mtim);
	input->ctime_ns = stamp(st->st_ctim);
}

static int note(struct policy_inputs *inputs, const char *path, const struct stat *st)
{
	struct policy_input *input;

	if (!inputs)
		return 0;
	if (inputs->n == inputs->room) {
		size_t room = inputs->room ? inputs->room * 2 : 16;
		void *bigger = reallocarray(inputs->list, room, sizeof(*inputs->list));

		if (!bigger)
			return -1;
		inputs->list = bigger;
		inputs->room = room;
	}
	input = &inputs->list[inputs->n];
	*input = (struct policy_input){.path = strdup(path)};
	if (!input->path)
		return -1;
	fill_input(input, st);
	inputs->n++;
	return 0;
}

void policy_inputs_fini(struct policy_inputs *inputs)
{
	for (size_t i = 0; i < inputs->n; i++)
		free(inputs->list[i].path);
	free(inputs->list);
	*inputs = (struct policy_inputs){0};
}

bool policy_inputs_changed(const struct policy_inputs *inputs)
{
	for (size_t i = 0; i < inputs->n; i++) {
		const struct policy_input *was = &inputs->list[i];
		struct policy_input now = {0};
		struct stat st;

		fill_input(&now, stat(was->path, &st) < 0 ? NULL : &st);
		if (now.missing != was->missing || now.dev != was->dev || now.ino != was->ino ||
		    now.size != was->size || now.mtime_ns != was->mtime_ns ||
		    now.ctime_ns != was->ctime_ns)
			return true;
	}
	return false;
}

static bool is_overlay(const struct policy_disk *disk, const char *path)
{
	return disk->overlay_path && strcmp(disk->overlay_path, path) == 0;
}

static int disk_resolve(void *ctx, const char *path, char **ret_real, enum file_kind *ret_kind)
{
	struct policy_disk *disk = ctx;
	struct stat st;
	char *real;

	*ret_kind = FILE_MISSING;
	*ret_real = NULL;
	if (is_overlay(disk, path)) {
		*ret_kind = disk->overlay_data ? FILE_REGULAR : FILE_MISSING;
		*ret_real = strdup(path);
		return *ret_real ? 0 : -1;
	}
	real = realpath(path, NULL);
	if (!real || stat(real, &st) < 0) {
		int saved = errno;

		free(real);
		errno = saved;
		if (saved == ENOMEM || note(disk->inputs, path, NULL))
			return -1;
		/* Nothing there, or nothing that can be reached: no file to include. */
		*ret_real = strdup(path);
		return *ret_real ? 0 : -1;
	}
	if (S_ISREG(st.st_mode))
		*ret_kind = FILE_REGULAR;
	else
		*ret_kind = S_ISDIR(st.st_mode) ? FILE_DIRECTORY : FILE_OTHER;
	if (is_overlay(disk, real))
		*ret_kind = disk->overlay_data ? FILE_REGULAR : FILE_MISSING;
	*ret_real = real;
	/* The name as written too: a link may be turned to something else. */
	return strcmp(path, real) != 0 || *ret_kind == FILE_OTHER ? note(disk->inputs, path, &st)
	                                                          : 0;
}

/* A growing list of NUL-terminated names, ended by an empty one. */
struct name_list {
	char *data;
	size_t len;
	size_t room;
};

static int add_name(struct name_list *names, const char *name)
{
	size_t len = strlen(name) + 1;

	if (names->room - names->len < len + 1) {
		size_t room = (names->room + len) * 2 + 256;
		char *bigger = realloc(names->data, room);

		if (!bigger)
			return -1;
		names->data = bigger;
		names->room = room;
	}
	memcpy(names->data + names->len, name, len);
	names->len += len;
	names->data[names->len] = '\0';
	return 0;
}

/* The overlay's own name, if it lies in dir. */
static const char *overlay_in(const struct policy_disk *disk, const char *dir)
{
	size_t len = strlen(dir);

	if (!disk->overlay_path || !disk->overlay_data ||
	    strncmp(disk->overlay_path, dir, len) != 0 || disk->overlay_path[len] != '/' ||
	    strchr(disk->overlay_path + len + 1, '/'))
		return NULL;
	return disk->overlay_path + len + 1;
}

static int read_names(DIR *dir, const char *extra, struct name_list *names)
{
	const struct dirent *entry;

	if (extra && add_name(names, extra))
		return -1;
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? -1 : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    (extra && strcmp(entry->d_name, extra) == 0))
			continue;
		if (add_name(names, entry->d_name))
			return -1;
	}
}

static int disk_list(void *ctx, const char *path, char **ret_names)
{
	struct policy_disk *disk = ctx;
	struct name_list names = {0};
	struct stat st;
	DIR *dir = opendir(path);
	int r;

	if (!dir) {
		int saved = errno;

		if (note(disk->inputs, path, stat(path, &st) < 0 ? NULL : &st) == 0)
			errno = saved;
		return -1;
	}
	/* Taken before reading: an entry made meanwhile changes the directory after this. */
	r = fstat(dirfd(dir), &st) < 0 || note(disk->inputs, path, &st) || add_name(&names, "") ? -1
	                                                                                        : 0;
	names.len = 0;
	if (r == 0)
		r = read_names(dir, overlay_in(disk, path), &names);
	(void)closedir(dir);
	if (r) {
		free(names.data);
		return -1;
	}
	*ret_names = names.data;
	return 0;
}

static int disk_read(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	struct policy_disk *disk = ctx;
	OWNED_FD int fd = -1;
	struct stat st;

	if (is_overlay(disk, path) && disk->overlay_data) {
		*ret_data = malloc(disk->overlay_len + 1);
		if (!*ret_data)
			return -1;
		memcpy(*ret_data, disk->overlay_data, disk->overlay_len);
		*ret_len = disk->overlay_len;
		return 0;
	}
	/* Not blocking: the name may have become a FIFO since it was looked at. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int saved = errno;

		if (note(disk->inputs, path, NULL) == 0)
			errno = saved;
		return -1;
	}
	if (note(disk->inputs, path, &st))
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)POLICY_FILE_MAX) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		return -1;
	}
	return fd_read_to_end(fd, (size_t)st.st_size, POLICY_FILE_MAX, ret_data, ret_len);
}

struct policy_files policy_files_disk(struct policy_disk *disk)
{
	return (struct policy_files){
	        .ctx = disk, .resolve = disk_resolve, .list = disk_list, .read = disk_read};
}
