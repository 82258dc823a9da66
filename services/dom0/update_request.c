/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/update_request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

/* The original's lock. Who asks holds it by flock(2), as there; the request is a lock of the other kind. */
#define LOCK           "/run/qubes/qubes-dom0-update.lock"
#define NAME_MAX_BYTES 64

static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

int update_request_lock(void)
{
	char path[PATH_MAX];
	int fd;

	if (path_make(path, sizeof(path), LOCK, NULL))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	if (fd < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		LOG(errno == EWOULDBLOCK ? "already running" : "%s: %m", path);
		return fd_close(fd);
	}
	return fd;
}

int update_request_open(int fd, const char *qube)
{
	struct flock lock = whole_file(F_WRLCK);
	char text[NAME_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%s\n", qube);

	if (n < 0 || (size_t)n >= sizeof(text)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Whole before it is open. */
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return -1;
	return fcntl(fd, F_OFD_SETLK, &lock);
}

int update_request_close(int fd)
{
	struct flock lock = whole_file(F_UNLCK);

	return fcntl(fd, F_OFD_SETLK, &lock) ? -1 : ftruncate(fd, 0);
}

int update_request_take(const char *qube)
{
	struct flock lock = whole_file(F_WRLCK);
	char path[PATH_MAX];
	char text[NAME_MAX_BYTES];
	char wanted[NAME_MAX_BYTES];
	OWNED_FD int fd = -1;
	ssize_t n;
	int len = snprintf(wanted, sizeof(wanted), "%s\n", qube);

	if (path_make(path, sizeof(path), LOCK, NULL))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	/* Asked for, not taken: who hammers at us cannot keep the lock from who is to have it. */
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type == F_UNLCK) {
		LOG("%s sends updates, and dom0 has not asked for any: qubes-dom0-update asks",
		    qube);
		return -1;
	}
	n = pread(fd, text, sizeof(text), 0);
	if (len < 0 || n != len || memcmp(text, wanted, (size_t)n) != 0) {
		LOG("%s sends updates, and dom0 %s", qube,
		    n == 0 ? "has had the answer to its request" : "has asked another qube");
		return -1;
	}
	if (ftruncate(fd, 0) == 0)
		return 0;
	LOG_ERRNO("%s", path);
	return -1;
}
