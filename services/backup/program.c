/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/backup/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define SAFE_FD 16 /* descriptors are moved above those that a program is to find */

/* Close-on-exec and out of the way of 0 to 3. */
static int move_up(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);
}

pid_t program_start(const char *const argv[], const char *const env[], int in, int out, int secret)
{
	const char *environment[PROGRAM_ENV_MAX + 3] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	                                                "LC_ALL=C"};
	OWNED_FD int high_in = move_up(in);
	OWNED_FD int high_out = move_up(out);
	OWNED_FD int high_secret = move_up(secret);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	pid_t pid = -1;
	int r;

	for (size_t i = 0; env && env[i] && i < PROGRAM_ENV_MAX; i++)
		environment[i + 2] = env[i];
	if (high_in < 0 || high_out < 0 || (secret >= 0 && high_secret < 0))
		return -1;
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0)
		r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = posix_spawnattr_setsigdefault(&attr, &defaults);
		if (r == 0)
			r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&actions, high_in, 0);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&actions, high_out, 1);
		if (r == 0 && secret >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, high_secret, 3);
		if (r == 0)
			r = posix_spawnp(&pid, argv[0], &actions, &attr,
			                 (char *const *)(uintptr_t)argv,
			                 (char *const *)(uintptr_t)environment);
		(void)posix_spawnattr_destroy(&attr);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	errno = r;
	return r ? -1 : pid;
}

int program_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

void program_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int scrypt_run(bool encrypt, int in, int out, const char *phrase, unsigned int log_n)
{
	char cost[16];
	const char *argv[16] = {"scrypt", encrypt ? "enc" : "dec", "--passphrase",
	                        "file:/dev/fd/3"};
	size_t argc = 4;
	int secret[2];
	ssize_t n;
	pid_t pid;

	(void)snprintf(cost, sizeof(cost), "%u", log_n);
	if (encrypt && log_n) {
		static const char *const costs[] = {"-r", "8", "-p", "1", "--logN"};

		memcpy(argv + argc, costs, sizeof(costs));
		argc += ARRAY_LEN(costs);
		argv[argc++] = cost;
	} else if (!encrypt) {
		/* However much memory it takes: it was made with it. */
		argv[argc++] = "-f";
	}
	argv[argc] = "-";
	if (pipe2(secret, O_CLOEXEC) || lseek(in, 0, SEEK_SET) < 0) {
		LOG_ERRNO("scrypt");
		return -1;
	}
	/* Fits into a pipe as a whole. */
	n = write(secret[1], phrase, strlen(phrase));
	if (n == (ssize_t)strlen(phrase))
		n = write(secret[1], "\n", 1);
	fd_close(secret[1]);
	pid = n == 1 ? program_start(argv, NULL, in, out, secret[0]) : -1;
	fd_close(secret[0]);
	if (pid < 0) {
		LOG_ERRNO("scrypt cannot be started: is the package installed?");
		return -1;
	}
	return program_wait(pid);
}
