/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where an archive goes in dom0: it has its name when it is whole, and not before. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/backup/service.h"

static int failed(int conn, const char *path, const char *why)
{
	service_fail(conn, BACKUP_E_FAILED, "The backup cannot be stored at %.300s: %s", path, why);
	return -1;
}

static int open_file(struct place *p)
{
	p->fd = openat(p->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	/* What a file system says that cannot do it, and what one says that does not know it. */
	if (p->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return p->fd < 0 ? -1 : 0;
	(void)snprintf(p->part, sizeof(p->part), ".%s.part", p->name);
	/* Of one that was cut off by a power cut. */
	if (unlinkat(p->dir, p->part, 0) && errno != ENOENT)
		return -1;
	p->fd = openat(p->dir, p->part, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0)
		p->part[0] = '\0';
	return p->fd < 0 ? -1 : 0;
}

static void name_by_time(char out[256])
{
	time_t now = time(NULL);
	struct tm tm;

	/* Without a time zone that can be had it is UTC. */
	if (!localtime_r(&now, &tm) || strftime(out, 256, "qubes-%Y-%m-%dT%H%M%S", &tm) == 0)
		memcpy(out, "qubes-backup", 13);
}

int place_open(int conn, const char *path, struct place *p)
{
	char folder[PATH_MAX], *slash;
	struct stat st;

	*p = (struct place){.fd = -1, .dir = -1};
	if (path[0] != '/' || strlen(path) >= sizeof(folder))
		return failed(conn, path, "the path must begin with \"/\"");
	memcpy(folder, path, strlen(path) + 1);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		name_by_time(p->name);
	} else {
		slash = strrchr(folder, '/');
		if (strlen(slash + 1) >= sizeof(p->name) || slash[1] == '\0')
			return failed(conn, path, strerror(ENOENT));
		memcpy(p->name, slash + 1, strlen(slash + 1) + 1);
		slash[slash == folder] = '\0';
	}
	p->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return failed(conn, path, strerror(errno));
	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		errno = EEXIST;
	else if (open_file(p) == 0)
		return 0;
	(void)failed(conn, path, strerror(errno));
	place_drop(p);
	return -1;
}

static int give_name(struct place *p)
{
	char self[64];

	if (p->part[0])
		return renameat2(p->dir, p->part, p->dir, p->name, RENAME_NOREPLACE);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", p->fd);
	return linkat(AT_FDCWD, self, p->dir, p->name, AT_SYMLINK_FOLLOW);
}

int place_keep(int conn, struct place *p)
{
	if (fsync(p->fd) || give_name(p))
		return failed(conn, p->name, strerror(errno));
	p->part[0] = '\0';
	if (fsync(p->dir) == 0)
		return 0;
	(void)unlinkat(p->dir, p->name, 0);
	return failed(conn, p->name, strerror(errno));
}

void place_drop(struct place *p)
{
	if (p->part[0])
		(void)unlinkat(p->dir, p->part, 0);
	p->fd = fd_close(p->fd);
	p->dir = fd_close(p->dir);
}
