/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel alone, between two processes: 1 GiB one way in 256 KiB writes, and one byte back and
 * forth. What a call's data channel could do at best.
 *
 * usage: bench-ring memfd|socket
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/stats.h"
#include "lib/vchan/vchan.h"

#define BULK_BYTES (1ULL << 30)
#define PIECE      (256U << 10)
#define RING       (64U << 10) /* what a data channel of the original has */
#define PINGS      20000
#define PORT       513

static void channel_wait(struct vchan *vchan)
{
	struct pollfd p = {.fd = vchan_fd(vchan), .events = POLLIN};

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		stats_fail("poll");
	(void)vchan_step(vchan);
}

static void send_all(struct vchan *vchan, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = vchan_write(vchan, data, len);

		if (n < 0)
			stats_fail("vchan_write");
		if (n == 0 && vchan_writable(vchan, 1) == 0)
			channel_wait(vchan);
		data += n;
		len -= (size_t)n;
	}
}

static size_t recv_some(struct vchan *vchan, char *data, size_t len)
{
	for (;;) {
		ssize_t n = vchan_read(vchan, data, len);

		if (n > 0)
			return (size_t)n;
		if (n < 0)
			stats_fail("vchan_read");
		if (vchan_readable(vchan, 1) == 0)
			channel_wait(vchan);
	}
}

/* Takes 1 GiB, says so with one byte, then answers every byte. */
static int client_run(struct vchan *vchan, char *data)
{
	uint64_t left = BULK_BYTES;

	while (vchan_state(vchan) == VCHAN_WAITING)
		channel_wait(vchan);
	while (left > 0)
		left -= recv_some(vchan, data, (size_t)MIN(left, (uint64_t)PIECE));
	for (size_t i = 0; i <= PINGS; i++) {
		send_all(vchan, data, 1);
		if (i < PINGS && recv_some(vchan, data, 1) != 1)
			return 1;
	}
	vchan_close(vchan);
	return 0;
}

static void server_run(struct vchan *vchan, char *data, const char *name)
{
	uint64_t began, left = BULK_BYTES;
	struct stats stats;
	char text[64];

	while (vchan_state(vchan) == VCHAN_WAITING)
		channel_wait(vchan);
	began = stats_now_ns();
	for (; left > 0; left -= PIECE)
		send_all(vchan, data, PIECE);
	(void)recv_some(vchan, data, 1);
	snprintf(text, sizeof(text), "ref bare ring %s", name);
	stats_print_rate(text, (double)BULK_BYTES / (double)(stats_now_ns() - began), "GB/s");
	stats_init(&stats, PINGS);
	for (size_t i = 0; i < PINGS; i++) {
		began = stats_now_ns();
		send_all(vchan, data, 1);
		(void)recv_some(vchan, data, 1);
		stats_add(&stats, (stats_now_ns() - began) / 2);
	}
	snprintf(text, sizeof(text), "ref channel hop %s", name);
	stats_print_latency(&stats, text, NULL);
	stats_fini(&stats);
	vchan_close(vchan);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/bench-ring.XXXXXX";
	struct vchan_config config = {
	        .dir = dir, .port = PORT, .read_min = RING, .write_min = RING};
	struct vchan *vchan;
	char *data = malloc(PIECE);
	int status;
	pid_t pid;

	if (argc != 2 || (strcmp(argv[1], "memfd") != 0 && strcmp(argv[1], "socket") != 0)) {
		fprintf(stderr, "usage: bench-ring memfd|socket\n");
		return 2;
	}
	config.transport = strcmp(argv[1], "memfd") == 0 ? VCHAN_MEMFD : VCHAN_SOCKET;
	if (!data || !mkdtemp(dir))
		stats_fail(dir);
	memset(data, 'x', PIECE);
	pid = fork();
	if (pid < 0)
		stats_fail("fork");
	config.own = pid == 0 ? 2 : 1;
	config.peer = pid == 0 ? 1 : 2;
	if ((pid == 0 ? vchan_connect(&config, &vchan) : vchan_listen(&config, &vchan)) < 0)
		stats_fail("channel");
	if (pid == 0)
		_exit(client_run(vchan, data));
	server_run(vchan, data, argv[1]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		stats_fail("client");
	(void)rmdir(dir);
	free(data);
	return 0;
}
