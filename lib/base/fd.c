/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/check.h"

void fd_close_owned(int *fd)
{
	*fd = fd_close(*fd);
}

int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return -1;
}

int fd_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

int fd_set_cloexec(int fd, bool cloexec)
{
	return fcntl(fd, F_SETFD, cloexec ? FD_CLOEXEC : 0);
}

ssize_t fd_send_message(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	CHECK(n_fds <= FD_PASS_MAX);
	if (n_fds > 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	do {
		r = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	return r;
}

static size_t collect_fds(struct msghdr *msg, int fds[FD_PASS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < FD_PASS_MAX)
				fds[n++] = fd;
			else
				(void)fd_close(fd);
		}
	}
	return n;
}

ssize_t fd_recv_message(int sock, void *data, size_t len, int ret_fds[FD_PASS_MAX],
                        size_t *ret_n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {
	        .msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = control.bytes,
	        .msg_controllen = sizeof(control.bytes),
	};
	size_t n = 0;
	ssize_t r;

	*ret_n_fds = 0;
	do {
		r = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -1;
	n = collect_fds(&msg, ret_fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (n > 0)
			(void)fd_close(ret_fds[--n]);
		errno = EMSGSIZE;
		return -1;
	}
	*ret_n_fds = n;
	return r;
}

/* A blocking helper that is handed a non-blocking descriptor waits instead of failing. */
static int wait_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -1 : 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t r = write(fd, p, len);

		if (r > 0) {
			p += r;
			len -= (size_t)r;
		} else if (r < 0 && errno == EAGAIN) {
			if (wait_ready(fd, POLLOUT))
				return -1;
		} else if (r == 0 || errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

int fd_read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len > 0) {
		ssize_t r = read(fd, p, len);

		if (r > 0) {
			p += r;
			len -= (size_t)r;
		} else if (r == 0) {
			errno = EPIPE;
			return -1;
		} else if (errno == EAGAIN) {
			if (wait_ready(fd, POLLIN))
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

int fd_read_to_end(int fd, size_t expected, size_t max, char **ret_data, size_t *ret_len)
{
	size_t room = expected + 2; /* the end is seen without growing, and the NUL */
	size_t len = 0;
	char *data = malloc(room);

	while (data) {
		ssize_t r;

		if (len + 1 >= room) {
			char *bigger = realloc(data, room * 2);

			if (!bigger)
				break;
			data = bigger;
			room *= 2;
		}
		r = read(fd, data + len, room - len - 1);
		if (r == 0) {
			data[len] = '\0';
			*ret_data = data;
			*ret_len = len;
			return 0;
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			break;
		len += (size_t)r;
		if (len > max) {
			errno = EFBIG;
			break;
		}
	}
	free(data);
	return -1;
}

int fd_unix_address(const char *path, struct sockaddr_un *addr, int *ret_dir)
{
	char dir[PATH_MAX];
	const char *slash;
	int n;

	*ret_dir = -1;
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path));
		return 0;
	}
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return -1;
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", *ret_dir,
	             slash + 1);
	if (n < 0 || (size_t)n >= sizeof(addr->sun_path)) {
		*ret_dir = fd_close(*ret_dir);
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int fd_connect_unix(const char *path, int type)
{
	OWNED_FD int place = -1;
	OWNED_FD int sock = -1;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) < sizeof(addr.sun_path)) {
		memcpy(addr.sun_path, path, strlen(path));
	} else {
		/* The socket itself has a short name that way, however long its last component is. */
		place = open(path, O_PATH | O_CLOEXEC);
		if (place < 0)
			return -1;
		(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", place);
	}
	sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	while (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return fd_take(&sock);
}

int fd_listen_unix(const char *path, int type, mode_t mode, int backlog)
{
	OWNED_FD int dir = -1;
	OWNED_FD int sock = -1;
	struct sockaddr_un addr;

	if (fd_unix_address(path, &addr, &dir))
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return -1;
	sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	if (chmod(path, mode) < 0 || listen(sock, backlog) < 0) {
		int saved = errno;

		(void)unlink(path);
		errno = saved;
		return -1;
	}
	return fd_take(&sock);
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a;
	int y = *(const int *)b;

	return (x > y) - (x < y);
}

void fd_close_from(int first, const int *keep, size_t n_keep)
{
	int sorted[64];
	unsigned int from = (unsigned int)first;

	CHECK(n_keep <= ARRAY_LEN(sorted));
	if (n_keep > 0) {
		memcpy(sorted, keep, n_keep * sizeof(int));
		qsort(sorted, n_keep, sizeof(int), compare_int);
	}
	for (size_t i = 0; i < n_keep; i++) {
		if (sorted[i] < 0 || (unsigned int)sorted[i] < from)
			continue;
		if ((unsigned int)sorted[i] > from)
			(void)syscall(SYS_close_range, from, (unsigned int)sorted[i] - 1, 0U);
		from = (unsigned int)sorted[i] + 1;
	}
	(void)syscall(SYS_close_range, from, ~0U, 0U);
}

int fd_open_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return -1;
	(void)fd_close(fd);
	return 0;
}
