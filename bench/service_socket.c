/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trivial socket service: reads the header line up to its NUL, answers three bytes, closes.
 *
 * usage: bench-service-socket PATH
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define BACKLOG    4096
#define HEADER_MAX 4096

/* Whether the connection is finished with: answered, or broken. */
static bool caller_answer(int fd)
{
	char header[HEADER_MAX];
	ssize_t n = read(fd, header, sizeof(header));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0 && !memchr(header, '\0', (size_t)n))
		return false;
	if (n > 0 && write(fd, "ok\n", 3) != 3)
		perror("bench-service-socket: write");
	return true;
}

static int callers_accept(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

		if (caller_answer(fd))
			close(fd);
		else if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			return -1;
	}
	return errno == EAGAIN || errno == ECONNABORTED ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener;

	if (argc != 2) {
		fprintf(stderr, "usage: bench-service-socket PATH\n");
		return 2;
	}
	listener = fd_listen_unix(argv[1], SOCK_STREAM | SOCK_NONBLOCK, 0777, BACKLOG);
	event.data.fd = listener;
	if (epoll < 0 || listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
		perror("bench-service-socket");
		return 1;
	}
	for (;;) {
		int n = epoll_wait(epoll, events, ARRAY_LEN(events), -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener) {
				if (callers_accept(epoll, listener) < 0)
					perror("bench-service-socket: accept");
			} else if (caller_answer(events[i].data.fd)) {
				close(events[i].data.fd);
			}
		}
	}
}
