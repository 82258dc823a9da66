/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's half of the fork server's protocol (doc/protocol/qrexec.md, 10.9): a command for a process of
 * the user's own session. Trusts the server as far as the user may be trusted: its answer is the end.
 */
#include "qube/agent/fork_server.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

int fork_server_path(char *dst, size_t dst_len, const char *format, const char *user)
{
	const char *percent = strstr(format, "%s");
	size_t head = percent ? (size_t)(percent - format) : strlen(format);
	const char *tail = percent ? percent + 2 : "";
	size_t user_len = percent ? strlen(user) : 0;

	if (strchr(user, '/') || head + user_len + strlen(tail) >= dst_len)
		return -1;
	memcpy(dst, format, head);
	memcpy(dst + head, user, user_len);
	memcpy(dst + head + user_len, tail, strlen(tail) + 1);
	return 0;
}

int fork_server_call(const char *format, const char *user, bool just_exec, uint32_t domain,
                     uint32_t port, const char *command)
{
	char path[PATH_MAX];
	uint8_t header[FORK_SERVER_HEADER];
	size_t len = strlen(command) + 1;
	struct iovec parts[] = {
	        {.iov_base = header, .iov_len = sizeof(header)},
	        {.iov_base = (void *)(uintptr_t)command, .iov_len = len},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};
	OWNED_FD
	int fd = -1;

	if (fork_server_path(path, sizeof(path), format, user))
		return -1;
	fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			LOG_ERRNO("%s", path);
		return -1;
	}
	le32_put(header, just_exec ? QREXEC_JUST_EXEC : QREXEC_EXEC_CMDLINE);
	le32_put(header + 4, domain);
	le32_put(header + 8, port);
	le32_put(header + 12, (uint32_t)len);
	/* A fresh connection has room for the largest request. */
	if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(sizeof(header) + len)) {
		LOG_ERRNO("%s: cannot send a request", path);
		return -1;
	}
	return fd_take(&fd);
}
