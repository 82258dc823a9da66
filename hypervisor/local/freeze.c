/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pause and its end. Where there are control groups the kernel stops the whole group. Elsewhere each
 * process gets SIGSTOP until a look at all of them finds none that runs: a running one may have made
 * another since the look before. The first process is stopped too, which only dom0 can do.
 *
 * A process that the qube had stopped itself goes on after such a pause; that is the price of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define ROUNDS_MAX 1000U /* looks, one millisecond between them; chosen: a loaded machine */

static void wait_a_little(void)
{
	const struct timespec t = {0, 1000000};

	(void)nanosleep(&t, NULL);
}

static int freeze_group(struct local_qube *q, bool on)
{
	const char *wanted = on ? "frozen 1" : "frozen 0";
	char text[256];

	if (local_cgroup_set(q, "cgroup.freeze", on ? "1" : "0"))
		return -1;
	for (unsigned int i = 0; i < ROUNDS_MAX; i++) {
		if (local_cgroup_read(q, "cgroup.events", text, sizeof(text)) < 0)
			return -1;
		if (strstr(text, wanted))
			return 0;
		wait_a_little();
	}
	errno = ETIMEDOUT;
	return -1;
}

/* 'R', 'S', 'T' … in /proc; 0: it has ended. */
static char state_of(pid_t pid)
{
	char path[48], text[512];
	OWNED_FD int fd = -1;
	ssize_t n;
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	return at && at[1] == ' ' ? at[2] : 0;
}

/* To a process of this qube and to no other that got its number meanwhile. */
static void signal_member(const struct local_qube *q, pid_t pid, int signo)
{
	OWNED_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);

	if (pidfd >= 0 && local_pid_space(pid) == q->pid_space &&
	    syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0U) && errno != ESRCH)
		LOG_ERRNO("%s: process %d", q->name, (int)pid);
}

struct look {
	unsigned int number; /* of looks before this one */
	unsigned int seen;
	unsigned int running;
};

static void stop_one(void *arg, struct local_qube *q, pid_t pid)
{
	struct look *look = arg;
	char state = state_of(pid);

	look->seen++;
	if (state == 0 || strchr("TtZX", state))
		return;
	/*
	 * Who waits within the kernel stops before its next instruction, for the signal is there. One that
	 * waits for its vfork() child to run a program waits for ever where that child was stopped first.
	 */
	if (state != 'D' || look->number == 0)
		look->running++;
	signal_member(q, pid, SIGSTOP);
}

static void continue_one(void *arg, struct local_qube *q, pid_t pid)
{
	struct look *look = arg;

	look->seen++;
	signal_member(q, pid, SIGCONT);
}

/* The first process is always there: who sees none may not look, and must not say that it is done. */
static int look_at_all(struct local_qube *q, struct look *look,
                       void (*fn)(void *arg, struct local_qube *q, pid_t pid))
{
	look->seen = look->running = 0;
	if (local_each_process(q->local, q, fn, look))
		return -1;
	if (look->seen > 0)
		return 0;
	errno = EPERM;
	return -1;
}

int local_freeze(struct local_qube *q)
{
	struct look look = {0};

	if (q->cgroup >= 0)
		return freeze_group(q, true);
	for (look.number = 0; look.number < ROUNDS_MAX; look.number++) {
		if (look_at_all(q, &look, stop_one))
			return -1;
		if (look.running == 0)
			return 0;
		wait_a_little();
	}
	errno = ETIMEDOUT;
	return -1;
}

int local_thaw(struct local_qube *q)
{
	struct look look = {0};

	if (q->cgroup >= 0)
		return freeze_group(q, false);
	return look_at_all(q, &look, continue_one);
}
