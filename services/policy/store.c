/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

int store_lock(const char *dir)
{
	OWNED_FD
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return fd_take(&fd);
}

static int write_temporary(int dir, const char *name, const void *data, size_t len)
{
	OWNED_FD
	int fd = -1;
	const struct group *group = getgrnam("qubes");

	/* What an interrupted writer left; the lock says that none is at work. */
	(void)unlinkat(dir, name, 0);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (group && fchown(fd, (uid_t)-1, group->gr_gid) < 0 && errno != EPERM)
		return -1;
	if (fchmod(fd, 0664) < 0 || fd_write_all(fd, data, len) || fsync(fd) < 0)
		return -1;
	return 0;
}

int store_replace(const char *path, const char *name, const void *data, size_t len)
{
	OWNED_FD
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char temporary[NAME_MAX + 1];

	if (dir < 0)
		return -1;
	if (snprintf(temporary, sizeof(temporary), ".%s.new", name) >= (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (write_temporary(dir, temporary, data, len) || renameat(dir, temporary, dir, name) < 0) {
		int saved = errno;

		(void)unlinkat(dir, temporary, 0);
		errno = saved;
		return -1;
	}
	return fsync(dir);
}

int store_remove(const char *path, const char *name)
{
	OWNED_FD
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || unlinkat(dir, name, 0) < 0)
		return -1;
	return fsync(dir);
}
