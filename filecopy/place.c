/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)

static int open_how(int folder, const char *path, const struct open_how *how)
{
	long fd;

	do {
		/* EAGAIN: something was renamed meanwhile, and the kernel cannot vouch for "..". */
		fd = syscall(SYS_openat2, folder, path, how, sizeof(*how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

int beneath_open(int folder, const char *component, int flags, mode_t mode)
{
	/* NO_SYMLINKS is left to O_NOFOLLOW: with one component it is the same, but for the errno. */
	const struct open_how how = {
	        .flags = (unsigned int)flags,
	        .mode = mode,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return open_how(folder, component, &how);
}

void place_init(struct place *place, int top)
{
	*place = (struct place){.top = top};
	for (size_t i = 0; i < ARRAY_LEN(place->fd); i++)
		place->fd[i] = -1;
}

static int *slot(struct place *place, size_t level)
{
	return &place->fd[level % PLACE_LEVELS];
}

/*
 * The current folder alone, by its whole path at once. That path was walked by component before, so
 * this asks only whether it still leads there. False: it is walked again, and says what is wrong.
 */
static bool reopen(struct place *place)
{
	const struct open_how how = {
	        .flags = FOLDER,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	char path[PATH_MAX];
	int fd;

	if (place->len >= sizeof(path))
		return false;
	memcpy(path, place->path, place->len);
	path[place->len] = '\0';
	fd = open_how(place->top, path, &how);
	if (fd < 0)
		return false;
	*slot(place, place->depth) = fd;
	place->opened++;
	place->held = 1;
	return true;
}

static void close_levels(struct place *place)
{
	for (size_t i = 0; i < ARRAY_LEN(place->fd); i++)
		place->fd[i] = fd_close(place->fd[i]);
	place->held = 0;
}

void place_refresh(struct place *place)
{
	if (place->depth == 0)
		return;
	close_levels(place);
	if (!reopen(place))
		place->depth = place->len = 0;
}

static int descend(struct place *place, const char *component, size_t len)
{
	int from = place->depth == 0 ? place->top : *slot(place, place->depth);
	int fd = beneath_open(from, component, FOLDER, 0);

	if (fd < 0)
		return -1;
	place->opened++;
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

/*
 * The current folder and some above it, for who comes up from far below will need them too: the way to the
 * uppermost of these at once, from there by component. False as reopen().
 */
static bool reopen_some(struct place *place)
{
	size_t end = place->len;
	size_t up = 0;

	for (; up < PLACE_LEVELS / 2 && up + 1 < place->depth; up++) {
		const char *slash = memrchr(place->path, '/', place->len);

		place->len = (size_t)(slash - place->path);
	}
	place->depth -= up;
	if (!reopen(place))
		return false;
	while (place->len < end) {
		const char *at = place->path + place->len + 1;
		const char *slash = memchr(at, '/', (size_t)(place->path + end - at));
		size_t n = (size_t)((slash ? slash : place->path + end) - at);
		char component[NAME_MAX + 1];

		if (n > NAME_MAX)
			break;
		memcpy(component, at, n);
		component[n] = '\0';
		if (descend(place, component, n))
			break;
	}
	if (place->len == end)
		return true;
	close_levels(place);
	return false;
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
	if (place->held == 0 && (depth == 0 || !reopen_some(place)))
		place->depth = place->len = 0;
}

/* How much of the way here leads to @path as well: levels, and bytes of their path. */
static size_t common_levels(const struct place *place, const char *path, size_t len,
                            size_t *ret_len)
{
	size_t level = 0;
	size_t i;

	/* Below the last one, mostly. */
	if (place->len <= len && memcmp(path, place->path, place->len) == 0 &&
	    (place->len == 0 || place->len == len || path[place->len] == '/')) {
		*ret_len = place->len;
		return place->depth;
	}
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
	size_t depth = place->depth;
	size_t at;

	CHECK(len < sizeof(place->path));
	ascend(place, common, common_len);
	if (place->depth != depth)
		place->opened++;
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

int place_current(const struct place *place, const char *path, size_t len)
{
	if (place->held == 0 || len != place->len || memcmp(path, place->path, len) != 0)
		return -1;
	return place->fd[place->depth % PLACE_LEVELS];
}

void place_leave(struct place *place)
{
	const char *slash = memrchr(place->path, '/', place->len);

	CHECK(place->depth > 0);
	ascend(place, place->depth - 1, slash ? (size_t)(slash - place->path) : 0);
	place->opened++;
}

void place_fini(struct place *place)
{
	close_levels(place);
	place->depth = place->len = 0;
}
