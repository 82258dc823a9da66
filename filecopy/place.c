/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)

int beneath_open(int folder, const char *component, int flags, mode_t mode)
{
	/* NO_SYMLINKS is left to O_NOFOLLOW: with one component it is the same, but for the errno. */
	const struct open_how how = {
	        .flags = (unsigned int)flags,
	        .mode = mode,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do {
		/* EAGAIN: something was renamed meanwhile, and the kernel cannot vouch for "..". */
		fd = syscall(SYS_openat2, folder, component, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

void place_init(struct place *place, int top)
{
	*place = (struct place){.top = top};
	for (size_t i = 0; i < ARRAY_LEN(place->fd); i++)
		place->fd[i] = -1;
}

void place_fini(struct place *place)
{
	for (size_t i = 0; i < ARRAY_LEN(place->fd); i++)
		place->fd[i] = fd_close(place->fd[i]);
	place->held = place->depth = place->len = 0;
}

static int *slot(struct place *place, size_t level)
{
	return &place->fd[level % PLACE_LEVELS];
}

/* Up to a folder on the way here, whose path is the first len bytes of ours. */
static void ascend(struct place *place, size_t depth, size_t len)
{
	while (place->depth > depth && place->held > 0) {
		*slot(place, place->depth) = fd_close(*slot(place, place->depth));
		place->depth--;
		place->held--;
	}
	place->depth = depth;
	place->len = len;
	/* Not open any more: its path is walked from the top. */
	if (place->held == 0)
		place->depth = place->len = 0;
}

static int descend(struct place *place, const char *component, size_t len)
{
	int from = place->depth == 0 ? place->top : *slot(place, place->depth);
	int fd = beneath_open(from, component, FOLDER, 0);

	if (fd < 0)
		return -1;
	place->depth++;
	if (place->held < PLACE_LEVELS)
		place->held++;
	else
		(void)fd_close(*slot(place, place->depth));
	*slot(place, place->depth) = fd;
	if (place->len > 0)
		place->path[place->len++] = '/';
	memcpy(place->path + place->len, component, len);
	place->len += len;
	return 0;
}

/* How much of the way here leads to @path as well: levels, and bytes of their path. */
static size_t common_levels(const struct place *place, const char *path, size_t len,
                            size_t *ret_len)
{
	size_t level = 0;
	size_t i;

	*ret_len = 0;
	for (i = 0; i < len && i < place->len && path[i] == place->path[i]; i++) {
		if (path[i] != '/')
			continue;
		level++;
		*ret_len = i;
	}
	if (i > 0 && (i == len || path[i] == '/') && (i == place->len || place->path[i] == '/')) {
		level++;
		*ret_len = i;
	}
	return level;
}

int place_enter(struct place *place, const char *path, size_t len, int *ret_fd, char *ret_failed)
{
	size_t common_len;
	size_t common = common_levels(place, path, len, &common_len);
	size_t at;

	CHECK(len < sizeof(place->path));
	ascend(place, common, common_len);
	at = place->len > 0 ? place->len + 1 : 0;
	while (at < len) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t n = slash ? (size_t)(slash - path) - at : len - at;

		memcpy(ret_failed, path + at, n);
		ret_failed[n] = '\0';
		if (descend(place, ret_failed, n))
			return -1;
		at += n + 1;
	}
	*ret_fd = place->depth == 0 ? place->top : *slot(place, place->depth);
	return 0;
}
