/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/policy.h"

/* A tree of files in memory, for tests and fuzzing: no links, "." and ".." are resolved by text. */

static int memory_resolve(void *ctx, const char *path, char **ret_real, enum file_kind *ret_kind)
{
	const struct policy_memory *memory = ctx;
	char *real = malloc(strlen(path) + 2);
	size_t len = 0;

	if (!real)
		return -1;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && memcmp(p, "..", 2) == 0) {
			while (len > 0 && real[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && *p == '.')) {
			real[len++] = '/';
			memcpy(real + len, p, n);
			len += n;
		}
		p += n;
		p += *p == '/';
	}
	real[len] = '\0';
	*ret_real = real;
	*ret_kind = FILE_MISSING;
	for (size_t i = 0; i < memory->n; i++) {
		const char *file = memory->list[i].path;

		if (strcmp(file, real) == 0)
			*ret_kind = FILE_REGULAR;
		else if (strncmp(file, real, len) == 0 && file[len] == '/')
			*ret_kind = FILE_DIRECTORY;
	}
	return 0;
}

static int memory_list(void *ctx, const char *dir, char **ret_names)
{
	const struct policy_memory *memory = ctx;
	size_t dir_len = strlen(dir);
	size_t room = 1;
	size_t len = 0;
	bool found = false;
	char *names;

	for (size_t i = 0; i < memory->n; i++)
		room += strlen(memory->list[i].path) + 1;
	names = malloc(room);
	if (!names)
		return -1;
	for (size_t i = 0; i < memory->n; i++) {
		const char *file = memory->list[i].path;

		if (strncmp(file, dir, dir_len) != 0 || file[dir_len] != '/')
			continue;
		found = true;
		file += dir_len + 1;
		if (*file == '\0' || strchr(file, '/'))
			continue;
		memcpy(names + len, file, strlen(file) + 1);
		len += strlen(file) + 1;
	}
	names[len] = '\0';
	if (!found) {
		free(names);
		errno = ENOENT;
		return -1;
	}
	*ret_names = names;
	return 0;
}

static int memory_read(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	const struct policy_memory *memory = ctx;

	for (size_t i = 0; i < memory->n; i++) {
		const struct policy_memory_file *file = &memory->list[i];

		if (strcmp(file->path, path) != 0)
			continue;
		*ret_data = malloc(file->len + 1);
		if (!*ret_data)
			return -1;
		if (file->len > 0)
			memcpy(*ret_data, file->data, file->len);
		*ret_len = file->len;
		return 0;
	}
	errno = ENOENT;
	return -1;
}

struct policy_files policy_files_memory(struct policy_memory *memory)
{
	return (struct policy_files){
	        .ctx = memory, .resolve = memory_resolve, .list = memory_list, .read = memory_read};
}
