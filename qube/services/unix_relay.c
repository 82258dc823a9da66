/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unix-relay SOCKET: standard input to a Unix socket and the socket to standard output, for services that
 * choose the socket by their argument. No byte is looked at.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

struct way {
	int from;
	int to;
	bool ended;
	char buf[65536];
};

/* What came, or the end of it; 0, or -1: this way is over. */
static int move(struct way *way)
{
	ssize_t n = read(way->from, way->buf, sizeof(way->buf));

	if (n < 0 && errno == EINTR)
		return 0;
	if (n > 0)
		return fd_write_all(way->to, way->buf, (size_t)n);
	return -1;
}

int main(int argc, char **argv)
{
	static struct way ways[2];
	int sock;

	log_init("unix-relay");
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 2) {
		(void)fprintf(stderr, "usage: unix-relay SOCKET\n");
		return 2;
	}
	sock = fd_connect_unix(argv[1], SOCK_STREAM);
	if (sock < 0) {
		LOG_ERRNO("%s", argv[1]);
		return 1;
	}
	ways[0].from = STDIN_FILENO;
	ways[0].to = sock;
	ways[1].from = sock;
	ways[1].to = STDOUT_FILENO;
	while (!ways[1].ended) {
		struct pollfd p[2];

		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){.fd = ways[i].ended ? -1 : ways[i].from,
			                       .events = POLLIN};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < 2; i++) {
			if (!p[i].revents || move(&ways[i]) == 0)
				continue;
			ways[i].ended = true;
			if (i == 0)
				(void)shutdown(sock, SHUT_WR);
		}
	}
	return 0;
}
