/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk through a program: 1 GiB in 256 KiB writes into its standard input (up, echo), read back from
 * its standard output (down, echo). Time from the start to the wait; a byte missing or a wrong exit
 * is a failed measurement, not a figure.
 *
 * usage: bench-bulk NAME up|down|echo PROGRAM [ARG ...]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/stats.h"
#include "lib/base/fd.h"

#define BULK_BYTES (1ULL << 30)
#define PIECE      (256U << 10)

static pid_t program_start(char **argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	errno = posix_spawn_file_actions_init(&actions);
	if (errno == 0)
		errno = posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (errno == 0)
		errno = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (errno == 0)
		errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (errno != 0)
		stats_fail(argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* Feeds to_write bytes and reads all output; returns the bytes read. */
static uint64_t bulk_move(int in, int out, uint64_t to_write, char *data, char *last)
{
	struct pollfd polls[2] = {{.fd = in, .events = POLLOUT}, {.fd = out, .events = POLLIN}};
	uint64_t got = 0;
	ssize_t n;

	if (to_write == 0)
		polls[0].fd = fd_close(in);
	while (polls[1].fd >= 0) {
		if (poll(polls, 2, -1) < 0)
			stats_fail("poll");
		if (polls[0].fd >= 0 && polls[0].revents != 0) {
			n = write(in, data, MIN(to_write, (uint64_t)PIECE));
			if (n < 0 && errno != EAGAIN)
				stats_fail("write");
			to_write -= n > 0 ? (uint64_t)n : 0;
			if (to_write == 0)
				polls[0].fd = fd_close(in);
		}
		if (polls[1].revents == 0)
			continue;
		n = read(out, data + PIECE, PIECE);
		if (n < 0)
			stats_fail("read");
		if (n == 0)
			polls[1].fd = -1;
		else if (n < 64)
			snprintf(last, 64, "%.*s", (int)n, data + PIECE);
		got += (uint64_t)n;
	}
	return got;
}

int main(int argc, char **argv)
{
	bool up, down;
	int in[2], out[2], status;
	uint64_t began, got;
	char *data = malloc(2U * PIECE);
	char last[64] = "";
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "usage: bench-bulk NAME up|down|echo PROGRAM [ARG ...]\n");
		return 2;
	}
	up = strcmp(argv[2], "down") != 0;
	down = strcmp(argv[2], "up") != 0;
	if (!data || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		stats_fail("pipe");
	memset(data, 'x', 2U * PIECE);
	(void)signal(SIGPIPE, SIG_IGN);
	began = stats_now_ns();
	pid = program_start(argv + 3, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	if (fd_set_blocking(in[1], false) < 0)
		stats_fail("pipe");
	got = bulk_move(in[1], out[0], up ? BULK_BYTES : 0, data, last);
	if (waitpid(pid, &status, 0) != pid)
		stats_fail("waitpid");
	if (status != 0 || (down && got != BULK_BYTES) ||
	    (!down && strtoull(last, NULL, 10) != BULK_BYTES)) {
		fprintf(stderr, "bench-bulk: %s: status %#x, %llu bytes back, said %s\n", argv[1],
		        (unsigned int)status, (unsigned long long)got, last);
		return 1;
	}
	stats_print_rate(argv[1], (double)BULK_BYTES / (double)(stats_now_ns() - began), "GB/s");
	free(data);
	return 0;
}
