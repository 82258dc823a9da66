/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In a test's qube: one process for each channel of the test, over our library and the stock one. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/talk.h"

#define RING        65536U
#define ECHO_SOCKET "/run/test.Echo"

static const struct {
	int port;
	enum pipe_library library;
	enum pipe_role role;
} channels[] = {
        {TALK_OURS_LISTENS, PIPE_OURS, PIPE_LISTEN},
        {TALK_STOCK_LISTENS, PIPE_STOCK, PIPE_LISTEN},
        {TALK_OURS_CONNECTS, PIPE_OURS, PIPE_CONNECT},
        {TALK_STOCK_CONNECTS, PIPE_STOCK, PIPE_CONNECT},
        {TALK_STOCK_BENCH, PIPE_STOCK, PIPE_LISTEN},
        {TALK_POLLED_BENCH, PIPE_POLLED, PIPE_LISTEN},
        {TALK_OURS_BENCH, PIPE_OURS, PIPE_LISTEN},
        {TALK_SLICE, PIPE_OURS, PIPE_LISTEN},
        {TALK_FIRST, PIPE_OURS, PIPE_LISTEN},
};

static int serve(size_t i)
{
	struct vchan_config config;
	struct pipe_end end;
	int r;

	vchan_use_grant();
	if (vchan_config_from_env(&config)) {
		perror("own domain");
		return 1;
	}
	if (pipe_open(&end, channels[i].library, channels[i].role, config.own, 0, channels[i].port,
	              RING))
		return 1;
	r = talk_serve(&end);
	(void)fprintf(stderr, "node: channel %d %s\n", channels[i].port, r ? "cut off" : "ended");
	pipe_close(&end);
	return 0;
}

/* A socket service of qrexec: what comes after its name goes back. */
static int echo_service(void)
{
	int listener = fd_listen_unix(ECHO_SOCKET, SOCK_STREAM, 0600, 16);

	for (;;) {
		OWNED_FD int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		char bytes[4096], *text;
		bool named = false;
		ssize_t n;

		if (fd < 0)
			return 1;
		while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
			text = named ? bytes : memchr(bytes, '\0', (size_t)n);
			if (!text)
				continue;
			text += !named;
			named = true;
			if (fd_write_all(fd, text, (size_t)(bytes + n - text)))
				break;
		}
	}
}

int main(void)
{
	if (fork() == 0)
		_exit(echo_service());
	for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(serve(i));
		if (pid < 0)
			perror("fork");
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
