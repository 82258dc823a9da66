/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where bytes of a call wait: a private pipe for bulk that is never looked at, and a backlog in
 * memory for the rest of a message. Both exist only while something waits.
 */
#include "call/data_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define BULK_PIPE_SIZE (256 * 1024) /* bytes; room for one message in odd pieces; chosen */

/* What a local pipe or socket of a bulk call holds, bytes; measured: less costs, more gains little. */
#define LOCAL_SIZE (512 * 1024)

uint8_t data_scratch[QREXEC_HEADER_LEN + QREXEC_DATA_MAX];

int bulk_pipe_open(struct bulk_pipe *pipe)
{
	int fds[2];

	if (pipe->read_fd >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	/* A user at the limit of pipe memory keeps the default size, which works too. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, BULK_PIPE_SIZE);
	*pipe = (struct bulk_pipe){.read_fd = fds[0], .write_fd = fds[1]};
	return 0;
}

void bulk_pipe_close(struct bulk_pipe *pipe)
{
	pipe->read_fd = fd_close(pipe->read_fd);
	pipe->write_fd = fd_close(pipe->write_fd);
	pipe->len = 0;
}

int local_widen(int fd, bool is_socket)
{
	int size = LOCAL_SIZE;
	int now = 0;
	socklen_t len = sizeof(now);

	if (is_socket) {
		if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &len) < 0 || now >= size ||
		    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
			return 0;
		return now;
	}
	now = fcntl(fd, F_GETPIPE_SZ);
	if (now <= 0 || now >= size || fcntl(fd, F_SETPIPE_SZ, size) < 0)
		return 0;
	return now;
}

void local_restore(int fd, bool is_socket, int narrow)
{
	int half = narrow / 2; /* the kernel doubles it */

	if (fd < 0 || narrow == 0)
		return;
	if (is_socket)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
	else
		(void)fcntl(fd, F_SETPIPE_SZ, narrow);
}

void backlog_free(struct backlog *backlog)
{
	free(backlog->data);
	*backlog = (struct backlog){0};
}

int backlog_add(struct backlog *backlog, const void *data, size_t len)
{
	uint8_t *grown;

	if (len == 0)
		return 0;
	if (backlog->off > 0) {
		memmove(backlog->data, backlog->data + backlog->off, backlog->len);
		backlog->off = 0;
	}
	grown = realloc(backlog->data, backlog->len + len);
	if (!grown)
		return -1;
	memcpy(grown + backlog->len, data, len);
	backlog->data = grown;
	backlog->len += len;
	return 0;
}
