/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See starter.h. */
#include "process/starter.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

/* A terminal's signals go to the whole group: main decides what they mean. */
static const int main_decides[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static void handle_signals(void (*action)(int))
{
	for (size_t i = 0; i < ARRAY_LEN(main_decides); i++)
		(void)signal(main_decides[i], action);
}

/* fork(), but that the child is one of our parent's. The C library keeps no number of ours. */
static pid_t fork_for_parent(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

static int32_t start(starter_child *child, void *arg, const void *request, size_t len,
                     const int *fds, size_t n_fds)
{
	pid_t pid = fork_for_parent();

	if (pid == 0) {
		handle_signals(SIG_DFL);
		child(arg, request, len, fds, n_fds);
		_exit(111);
	}
	return pid < 0 ? -errno : pid;
}

NORETURN static void serve(int sock, starter_child *child, void *arg)
{
	static uint8_t request[STARTER_REQUEST_MAX];

	for (;;) {
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;
		ssize_t n = fd_recv_message(sock, request, sizeof(request), fds, &n_fds);
		int32_t answer = -EMSGSIZE;

		if (n == 0 || (n < 0 && errno != EMSGSIZE))
			_exit(0);
		if (n > 0)
			answer = start(child, arg, request, (size_t)n, fds, n_fds);
		for (size_t i = 0; i < n_fds; i++)
			(void)fd_close(fds[i]);
		if (send(sock, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			_exit(0);
	}
}

int starter_open(struct starter *s, starter_child *child, int (*confine)(void), void *arg)
{
	int pair[2];

	*s = (struct starter)STARTER_EMPTY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	s->pid = fork();
	if (s->pid == 0) {
		handle_signals(SIG_IGN);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd_close_from(3, &pair[1], 1);
		if (confine && confine())
			_exit(1);
		serve(pair[1], child, arg);
	}
	(void)fd_close(pair[1]);
	if (s->pid < 0)
		return fd_close(pair[0]);
	s->fd = pair[0];
	return 0;
}

int starter_watch(struct starter *s, struct loop *loop, void (*fn)(void *arg, uint32_t events),
                  void *arg)
{
	/* No event is asked for: the end of the other side is told all the same. */
	return loop_fd_add(loop, &s->source, s->fd, 0, fn, arg);
}

pid_t starter_run(const struct starter *s, const void *request, size_t len, const int *fds,
                  size_t n_fds)
{
	int32_t answer;
	ssize_t n;

	if (len > STARTER_REQUEST_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (fd_send_message(s->fd, request, len, fds, n_fds) < 0)
		return -1;
	do
		n = recv(s->fd, &answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n == sizeof(answer) && answer > 0)
		return answer;
	errno = n == sizeof(answer) && answer < 0 ? -answer : EPIPE;
	return -1;
}

void starter_close(struct starter *s, struct loop *loop)
{
	if (s->fd < 0)
		return;
	loop_fd_remove(loop, &s->source);
	s->fd = fd_close(s->fd);
	(void)waitpid(s->pid, NULL, 0);
}
