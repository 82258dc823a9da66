/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this machine does without Skerry, in the same run: starting a program, one hop over a Unix
 * socket, bulk through a pipe. All other figures are read as ratios to these.
 *
 * usage: bench-reference SERVICE [N]
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/stats.h"
#include "lib/base/fd.h"

#define BULK_BYTES (1ULL << 30)
#define BULK_WRITE (256U << 10)

static void child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			stats_fail("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		errno = ECHILD;
		stats_fail("child");
	}
}

static pid_t fork_exec(const char *path, int null_fd)
{
	pid_t pid = fork();

	if (pid < 0)
		stats_fail("fork");
	if (pid == 0) {
		char *const argv[] = {(char *)(uintptr_t)path, NULL};

		if (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)
			_exit(126);
		execv(path, argv);
		_exit(127);
	}
	return pid;
}

static pid_t spawn(const char *path)
{
	char *const argv[] = {(char *)(uintptr_t)path, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	errno = posix_spawn_file_actions_init(&actions);
	if (errno == 0)
		errno = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	if (errno == 0)
		errno = posix_spawn_file_actions_adddup2(&actions, 0, 1);
	if (errno == 0)
		errno = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	if (errno != 0)
		stats_fail(path);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void measure_start(const char *path, size_t n, bool use_spawn)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stats stats;

	if (null_fd < 0)
		stats_fail("/dev/null");
	stats_init(&stats, n);
	for (size_t i = 0; i < n; i++) {
		uint64_t began = stats_now_ns();

		child_wait(use_spawn ? spawn(path) : fork_exec(path, null_fd));
		stats_add(&stats, stats_now_ns() - began);
	}
	stats_print_latency(&stats, use_spawn ? "ref spawn+wait" : "ref fork+exec+wait", NULL);
	stats_fini(&stats);
	close(null_fd);
}

/* A round trip is two hops: a wake-up of the other process each. */
static void measure_ping(size_t n)
{
	struct stats stats;
	int pair[2];
	char byte = 'x';
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		stats_fail("socketpair");
	pid = fork();
	if (pid < 0)
		stats_fail("fork");
	if (pid == 0) {
		close(pair[0]);
		while (read(pair[1], &byte, 1) == 1)
			if (write(pair[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(pair[1]);
	stats_init(&stats, n);
	for (size_t i = 0; i < n; i++) {
		uint64_t began = stats_now_ns();

		if (write(pair[0], &byte, 1) != 1 || read(pair[0], &byte, 1) != 1)
			stats_fail("ping");
		stats_add(&stats, (stats_now_ns() - began) / 2);
	}
	close(pair[0]);
	child_wait(pid);
	stats_print_latency(&stats, "ref unix socket hop", NULL);
	stats_fini(&stats);
}

static void measure_pipe(void)
{
	char *data = malloc(BULK_WRITE);
	uint64_t began, left = BULK_BYTES;
	int fds[2];
	pid_t pid;

	if (!data || pipe2(fds, O_CLOEXEC) < 0)
		stats_fail("pipe");
	memset(data, 'x', BULK_WRITE);
	pid = fork();
	if (pid < 0)
		stats_fail("fork");
	if (pid == 0) {
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], data, BULK_WRITE)) > 0)
			;
		_exit(n == 0 ? 0 : 1);
	}
	close(fds[0]);
	began = stats_now_ns();
	for (; left > 0; left -= BULK_WRITE)
		if (fd_write_all(fds[1], data, BULK_WRITE) < 0)
			stats_fail("pipe write");
	close(fds[1]);
	child_wait(pid);
	stats_print_rate("ref pipe bulk", (double)BULK_BYTES / (double)(stats_now_ns() - began),
	                 "GB/s");
	free(data);
}

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;

	if (argc < 2 || n == 0) {
		fprintf(stderr, "usage: bench-reference SERVICE [N]\n");
		return 2;
	}
	measure_start(argv[1], n, false);
	measure_start(argv[1], n, true);
	measure_ping(n * 10);
	for (int i = 0; i < 3; i++)
		measure_pipe();
	return 0;
}
