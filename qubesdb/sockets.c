/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qubesdb/sockets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define DIR     "/var/run/qubes"
#define BACKLOG 128 /* chosen; the original: 5 */

static const char *const suffixes[2] = {".sock", ".ro.sock"};

static int make_path(char *dst, size_t dst_len, const char *name, int which)
{
	char file[NAME_MAX];

	(void)snprintf(file, sizeof(file), "qubesdb%s%s%s", name ? "." : "", name ? name : "",
	               suffixes[which]);
	return path_make(dst, dst_len, DIR, file);
}

int sockets_listen(const char *name, mode_t mode, int *ret_rw, int *ret_ro)
{
	char path[PATH_MAX];
	int fds[2] = {-1, -1};

	for (int i = 0; i < 2; i++) {
		if (make_path(path, sizeof(path), name, i))
			goto failed;
		fds[i] = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, i == 0 ? mode : 0666,
		                        BACKLOG);
		if (fds[i] < 0) {
			LOG_ERRNO("%s", path);
			goto failed;
		}
	}
	*ret_rw = fds[0];
	*ret_ro = fds[1];
	return 0;
failed:
	if (fds[0] >= 0) {
		(void)fd_close(fds[0]);
		sockets_remove(name);
	}
	return -1;
}

void sockets_remove(const char *name)
{
	int saved = errno;
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++)
		if (make_path(path, sizeof(path), name, i) == 0)
			(void)unlink(path);
	errno = saved;
}

int sockets_link(const char *name)
{
	char path[PATH_MAX], target[NAME_MAX];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(target, sizeof(target), "qubesdb.%s%s", name, suffixes[i]);
		if (make_path(path, sizeof(path), NULL, i) ||
		    (unlink(path) < 0 && errno != ENOENT) || symlink(target, path) < 0)
			return -1;
	}
	return 0;
}
