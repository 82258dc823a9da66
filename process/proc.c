/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See proc.h. Source of the fields: proc(5), stat; of the calls: pidfd_open(2), waitid(2). */
#include "process/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define P_PIDFD_ID  ((idtype_t)3) /* P_PIDFD; older headers lack it */
#define START_FIELD 19            /* fields after the one behind the name */

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0U);
}

static int send_signal(int pidfd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0U);
}

int proc_start_time(pid_t pid, uint64_t *ret_start)
{
	char path[32];
	char text[1024];
	OWNED_FD int fd = -1;
	ssize_t n;
	char *at, *end;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0) {
		if (n == 0 || errno == ENOENT)
			errno = ESRCH;
		return -1;
	}
	text[n] = '\0';
	/* The name, in parentheses, may hold any byte. */
	at = strrchr(text, ')');
	for (int i = 0; at && i <= START_FIELD; i++)
		at = strchr(at + 1, ' ');
	if (!at) {
		errno = EINVAL;
		return -1;
	}
	*ret_start = strtoull(at + 1, &end, 10);
	return *end == ' ' ? 0 : -1;
}

static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status & 0x7f;
}

static void on_end(void *arg, uint32_t events)
{
	struct proc *p = arg;
	siginfo_t info = {0};
	void (*fn)(void *, int) = p->fn;
	void *fn_arg = p->arg;
	int status = PROC_STATUS_UNKNOWN;

	(void)events;
	if (waitid(P_PIDFD_ID, (id_t)p->pidfd, &info, WEXITED | WNOHANG) == 0) {
		if (info.si_pid == 0)
			return; /* a tracer of it is told first */
		status = status_of(&info);
	}
	proc_forget(p);
	fn(fn_arg, status);
}

static int watch(struct loop *loop, struct proc *p, int pidfd, pid_t pid, uint64_t start)
{
	*p = (struct proc){
	        .pid = pid, .start = start, .loop = loop, .pidfd = pidfd, .source = LOOP_FD_EMPTY};
	return loop_fd_add(loop, &p->source, pidfd, EPOLLIN, on_end, p);
}

int proc_watch(struct loop *loop, struct proc *p, pid_t pid, void (*fn)(void *arg, int wait_status),
               void *arg)
{
	OWNED_FD int pidfd = open_pidfd(pid);
	uint64_t start;

	/* A child that has ended already keeps its number until it is reaped. */
	if (pidfd < 0 || proc_start_time(pid, &start) || watch(loop, p, pidfd, pid, start)) {
		*p = (struct proc)PROC_EMPTY;
		return -1;
	}
	p->fn = fn;
	p->arg = arg;
	(void)fd_take(&pidfd);
	return 0;
}

/* A descriptor of the process that started then; -1 with errno. */
static int open_known(pid_t pid, uint64_t start)
{
	OWNED_FD int pidfd = pid > 0 ? open_pidfd(pid) : -1;
	uint64_t now;

	if (pid <= 0)
		errno = ESRCH;
	if (pidfd < 0 || proc_start_time(pid, &now))
		return -1;
	if (now != start) {
		errno = ESRCH;
		return -1;
	}
	return fd_take(&pidfd);
}

int proc_adopt(struct loop *loop, struct proc *p, pid_t pid, uint64_t start,
               void (*fn)(void *arg, int wait_status), void *arg)
{
	OWNED_FD int pidfd = open_known(pid, start);

	if (pidfd < 0 || watch(loop, p, pidfd, pid, start)) {
		*p = (struct proc)PROC_EMPTY;
		return -1;
	}
	p->fn = fn;
	p->arg = arg;
	(void)fd_take(&pidfd);
	return 0;
}

void proc_forget(struct proc *p)
{
	if (p->pidfd < 0)
		return;
	loop_fd_remove(p->loop, &p->source);
	(void)fd_close(p->pidfd);
	*p = (struct proc)PROC_EMPTY;
}

void proc_signal(const struct proc *p, int signo)
{
	if (p->pidfd >= 0 && send_signal(p->pidfd, signo) && errno != ESRCH)
		LOG_ERRNO("signal %d to process %d", signo, (int)p->pid);
}

int proc_kill_wait(pid_t pid, uint64_t start, int timeout_ms)
{
	OWNED_FD int pidfd = open_known(pid, start);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0)
		return errno == ESRCH ? 0 : -1;
	if (send_signal(pidfd, SIGKILL) && errno != ESRCH)
		return -1;
	return poll(&p, 1, timeout_ms) == 1 ? 0 : -1;
}
