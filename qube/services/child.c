/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define PIPE_READ  0
#define PIPE_WRITE 1

/* posix_spawn's interface has no const; it writes to none of the words. */
static int spawn(const char *const *argv, int in_fd, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int error;

	(void)posix_spawn_file_actions_init(&actions);
	if (in_fd < 0)
		error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	else
		error = posix_spawn_file_actions_adddup2(&actions, in_fd, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	if (!error)
		error = posix_spawnp(ret_pid, argv[0], &actions, NULL,
		                     (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

int child_start(const char *const *argv, int in_fd, int *ret_out, pid_t *ret_pid)
{
	int ends[2];
	int error;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	error = spawn(argv, in_fd, ends[PIPE_WRITE], ret_pid);
	(void)close(ends[PIPE_WRITE]);
	if (error) {
		(void)close(ends[PIPE_READ]);
		errno = error;
		return -1;
	}
	*ret_out = ends[PIPE_READ];
	return 0;
}

int child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int child_output(const char *const *argv, int in_fd, char *data, size_t max)
{
	size_t len = 0;
	ssize_t n = 1;
	pid_t pid;
	int fd;
	int status;

	if (child_start(argv, in_fd, &fd, &pid))
		return -1;
	while (len < max && n > 0) {
		n = read(fd, data + len, max - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	(void)close(fd);
	status = child_wait(pid);
	if (n < 0 || len == max) {
		errno = n < 0 ? EIO : EFBIG;
		return -1;
	}
	data[len] = '\0';
	return status;
}

/* The other end may stop reading at any time; then there is nothing left to do. */
static void feed(const char *head, size_t head_len, int file, int to)
{
	static char buf[65536];

	(void)signal(SIGPIPE, SIG_IGN);
	if (head_len > 0 && fd_write_all(to, head, head_len))
		_exit(0);
	for (;;) {
		ssize_t n = read(file, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(n < 0);
		if (fd_write_all(to, buf, (size_t)n))
			_exit(0);
	}
}

int child_call(const char *target, const char *service, const char *head, size_t head_len, int file,
               struct child_call *out)
{
	const char *const argv[] = {"qrexec-client-vm", "--", target, service, NULL};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	out->feeder = fork();
	if (out->feeder == 0) {
		(void)close(ends[PIPE_READ]);
		feed(head, head_len, file, ends[PIPE_WRITE]);
	}
	(void)close(ends[PIPE_WRITE]);
	if (out->feeder < 0 || child_start(argv, ends[PIPE_READ], &out->fd, &out->client)) {
		int error = errno;

		(void)close(ends[PIPE_READ]);
		if (out->feeder > 0)
			(void)child_wait(out->feeder);
		errno = error;
		return -1;
	}
	(void)close(ends[PIPE_READ]);
	return 0;
}

int child_call_end(struct child_call *call)
{
	int status;

	(void)close(call->fd);
	status = child_wait(call->client);
	if (child_wait(call->feeder) != 0 && status == 0) {
		errno = EIO;
		return -1;
	}
	return status;
}

void child_call_abort(struct child_call *call)
{
	(void)kill(call->client, SIGTERM);
	(void)kill(call->feeder, SIGTERM);
	(void)child_call_end(call);
}
