/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

int output_file_open(struct output_file *file, const char *path)
{
	mode_t mask = umask(0);
	int n;

	(void)umask(mask);
	file->fd = -1;
	n = snprintf(file->path, sizeof(file->path), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(file->path) - 8) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)snprintf(file->temporary, sizeof(file->temporary), "%.*s.XXXXXX", PATH_MAX - 8,
	               file->path);
	file->fd = mkostemp(file->temporary, O_CLOEXEC);
	if (file->fd < 0)
		return -1;
	if (fchmod(file->fd, 0666 & ~mask)) {
		output_file_drop(file);
		return -1;
	}
	return 0;
}

int output_file_keep(struct output_file *file, bool replace)
{
	if (fsync(file->fd))
		return -1;
	if (replace ? rename(file->temporary, file->path)
	            : renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, RENAME_NOREPLACE))
		return -1;
	file->fd = fd_close(file->fd);
	return 0;
}

void output_file_drop(struct output_file *file)
{
	if (file->fd < 0)
		return;
	(void)unlink(file->temporary);
	file->fd = fd_close(file->fd);
}
