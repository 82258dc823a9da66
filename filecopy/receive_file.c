/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files. One is written without a name and gets it when it is complete, so that whatever ends the
 * transfer leaves none half-written; where the file system has no unnamed files, what is not
 * complete has mode 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "filecopy/receive_internal.h"
#include "lib/base/fd.h"
#include "lib/untrusted/path.h"

#define HOLE_MIN 65536 /* bytes of zeros at least that are not written */

static const char zeros[HOLE_MIN];

bool receive_needs_proc(int top_fd)
{
	/* A folder is never linked, but which error comes first tells whether it could be named. */
	return linkat(top_fd, "", top_fd, ".", AT_EMPTY_PATH) < 0 && errno == ENOENT;
}

static uint32_t wanted_mode(const struct receiver *r)
{
	return r->header.mode & r->config->mode_mask & 07777;
}

/* One that a new file can have from its beginning, with times that will be taken: writing takes special bits
 * away again, and a file with bad times stays with another mode. */
static bool is_plain_mode(const struct receiver *r)
{
	return !(wanted_mode(r) & 07000) && r->header.atime_nsec <= FILECOPY_NSEC_MAX &&
	       r->header.mtime_nsec <= FILECOPY_NSEC_MAX;
}

/* Does the unnamed file have its mode? A folder whose access list says otherwise is found out by its first file. */
static bool has_mode(struct receiver *r, int fd)
{
	struct stat st;

	if (!is_plain_mode(r))
		return false;
	if (r->trusted_folder == r->place.opened && r->trusted_mode == wanted_mode(r))
		return true;
	if (fstat(fd, &st) || (st.st_mode & 07777) != wanted_mode(r))
		return false;
	r->trusted_folder = r->place.opened;
	r->trusted_mode = wanted_mode(r);
	return true;
}

static int open_file(struct receiver *r, int folder, const char *last)
{
	int fd;

	if (!r->no_temp) {
		fd = beneath_open(folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC,
		                  is_plain_mode(r) ? wanted_mode(r) : 0700);
		if (fd >= 0 || (errno != ENOENT && errno != EOPNOTSUPP))
			return fd;
		r->no_temp = true;
	}
	return beneath_open(folder, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
}

static int wait_for_space(struct receiver *r, int fd, uint64_t size)
{
	const struct timespec second = {.tv_sec = 1};
	struct statfs fs;

	for (;;) {
		uint64_t free_bytes;

		if (fstatfs(fd, &fs))
			return receive_fail(r, (uint32_t)errno, r->name);
		if (__builtin_mul_overflow((uint64_t)fs.f_bsize, (uint64_t)fs.f_bavail,
		                           &free_bytes))
			free_bytes = UINT64_MAX;
		if (free_bytes >= size && free_bytes - size >= r->config->space_margin)
			return 0;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL);
	}
}

static int charge_bytes(struct receiver *r, int fd)
{
	uint64_t untrusted_size = r->header.size;
	uint64_t max = r->config->bytes_max;

	if (untrusted_size > INT64_MAX ||
	    (max && (untrusted_size > max || r->bytes > max - untrusted_size)))
		return receive_fail(r, EDQUOT, r->name);
	if (r->config->wait_for_space && wait_for_space(r, fd, untrusted_size))
		return -1;
	r->bytes += untrusted_size;
	return 0;
}

/* The file's data. A run of zeros becomes a hole: the same content, without the space. */
static int copy_data(struct receiver *r, int fd)
{
	uint64_t left = r->header.size;
	uint64_t hole = 0;

	while (left > 0) {
		const uint8_t *untrusted_data;
		size_t n = input_peek(&r->in, &untrusted_data);

		if (n == 0)
			return receive_fail(r, FILECOPY_ERROR_EOF, r->name);
		n = (size_t)MIN(left, (uint64_t)n);
		if (n >= HOLE_MIN && memcmp(untrusted_data, zeros, HOLE_MIN) == 0) {
			n = HOLE_MIN;
			hole += n;
		} else {
			if (hole > 0 && lseek(fd, (off_t)hole, SEEK_CUR) < 0)
				return receive_fail(r, (uint32_t)errno, r->name);
			hole = 0;
			if (fd_write_all(fd, untrusted_data, n))
				return receive_fail(r, (uint32_t)errno, r->name);
		}
		input_take(&r->in, n);
		left -= n;
	}
	if (hole > 0 && ftruncate(fd, (off_t)r->header.size))
		return receive_fail(r, (uint32_t)errno, r->name);
	return 0;
}

/* The unnamed file appears under its name: by the descriptor itself, or, once that was refused, by /proc. */
static int link_file(struct receiver *r, int fd, int folder, const char *last)
{
	char number[16];

	if (!r->by_proc) {
		if (linkat(fd, "", folder, last, AT_EMPTY_PATH) == 0)
			return 0;
		if (errno != ENOENT || r->config->proc_fd < 0)
			return receive_fail(r, (uint32_t)errno, r->name);
		r->by_proc = true;
	}
	(void)snprintf(number, sizeof(number), "%d", fd);
	if (linkat(r->config->proc_fd, number, folder, last, AT_SYMLINK_FOLLOW))
		return receive_fail(r, (uint32_t)errno, r->name);
	return 0;
}

/* Complete in every respect before it is seen; but one with bad times is left as the original does. */
static int finish_unnamed(struct receiver *r, int fd, int folder, const char *last)
{
	bool bad = receive_times(r) != 0;

	if (!bad && receive_metadata(r, fd, has_mode(r, fd)))
		return -1;
	if (link_file(r, fd, folder, last)) {
		r->silent = false;
		return -1;
	}
	return bad ? -1 : 0;
}

int receive_file(struct receiver *r)
{
	OWNED_FD int fd = -1;
	const char *last;
	int folder;

	if (untrusted_path_check(r->name, r->config->path_flags))
		return receive_fail(r, EILSEQ, r->name);
	if (receive_parent(r, &folder, &last))
		return -1;
	fd = open_file(r, folder, last);
	if (fd < 0)
		return receive_fail(r, (uint32_t)errno, r->name);
	if (charge_bytes(r, fd) || copy_data(r, fd))
		return -1;
	if (!r->no_temp)
		return finish_unnamed(r, fd, folder, last);
	if (receive_times(r))
		return -1;
	return receive_metadata(r, fd, false);
}
