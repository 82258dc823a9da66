/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/qvm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/client/sink.h"
#include "tools/qvm/out.h"

#define OUTPUT_MAX 65536 /* bytes that child_read() takes */

extern char **environ;

int child_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t child_start(const char *const *argv, const int fds[3])
{
	posix_spawn_file_actions_t actions;
	size_t n = 0;
	char **copy;
	pid_t pid;
	int r;

	while (argv[n])
		n++;
	copy = arena_alloc((n + 1) * sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_dup(argv[i]);
	out_flush();
	r = posix_spawn_file_actions_init(&actions);
	if (r) {
		errno = r;
		return -1;
	}
	for (int i = 0; i < 3 && r == 0; i++)
		if (fds[i] >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (r == 0)
		r = posix_spawnp(&pid, copy[0], &actions, NULL, copy, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = r;
	return r ? -1 : pid;
}

int child_run(const char *const *argv)
{
	pid_t pid = child_start(argv, (const int[]){-1, -1, -1});

	return pid < 0 ? -1 : child_status(pid);
}

const char *child_read(const char *const *argv)
{
	struct sink sink = {0};
	int out[2], status;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC)) {
		err_printf("%s: %m\n", argv[0]);
		return NULL;
	}
	pid = child_start(argv, (const int[]){-1, out[1], -1});
	fd_close(out[1]);
	if (pid < 0) {
		err_printf("%s: %m\n", argv[0]);
		fd_close(out[0]);
		return NULL;
	}
	while (sink.len < OUTPUT_MAX && sink_read(&sink, out[0]) == SINK_MORE)
		;
	fd_close(out[0]);
	status = child_status(pid);
	if (status != 0) {
		err_printf("%s: ended with status %d\n", argv[0], status);
		return NULL;
	}
	return arena_copy(sink.data, strcspn(sink.data, "\n"));
}
