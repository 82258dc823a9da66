/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROCESS_PROC_H
#define PROCESS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * A process that is watched by its pidfd, a child of ours or not: what runs on after its starter died
 * is adopted by the next one. A number alone names nobody, for numbers are given again; a number with
 * the moment of its start does.
 */

struct proc {
	pid_t pid;      /* 0: none */
	uint64_t start; /* clock ticks after boot */
	int pidfd;      /* owned; -1: none */
	struct loop *loop;
	struct loop_fd source;
	void (*fn)(void *arg, int wait_status);
	void *arg;
};

#define PROC_EMPTY                                                                                 \
	{                                                                                          \
		.pidfd = -1, .source = LOOP_FD_EMPTY                                               \
	}

/* The wait status of a process that was not our child. */
#define PROC_STATUS_UNKNOWN (-1)

/** proc_start_time() - of a process, from /proc; 0 or -1 with errno (ESRCH: there is none) */
int proc_start_time(pid_t pid, uint64_t *ret_start) MUST_CHECK;

/**
 * proc_watch() - call fn when a child of ours ends; it is reaped then
 * fn is called once; the proc is empty by then, and may be used again.
 * Errors: 0, or -1 with errno; nothing is watched then.
 */
int proc_watch(struct loop *loop, struct proc *p, pid_t pid, void (*fn)(void *arg, int wait_status),
               void *arg) MUST_CHECK;

/**
 * proc_adopt() - the same for a process that need not be a child
 * @start:  what proc_start_time() said of it earlier
 * Errors: 0, or -1 with errno (ESRCH: it has ended, and another may have its number).
 */
int proc_adopt(struct loop *loop, struct proc *p, pid_t pid, uint64_t start,
               void (*fn)(void *arg, int wait_status), void *arg) MUST_CHECK;

/** proc_forget() - no longer watched; the process goes on */
void proc_forget(struct proc *p);

/** proc_runs() - whether p watches a process */
static inline bool proc_runs(const struct proc *p)
{
	return p->pidfd >= 0;
}

/** proc_signal() - to it and to nobody else; nothing if it has ended; errors are logged */
void proc_signal(const struct proc *p, int signo);

/** proc_kill_wait() - SIGKILL to a process that is not watched, and wait for its end up to timeout_ms.
 *  0: it has ended, or had before; -1: not in time */
int proc_kill_wait(pid_t pid, uint64_t start, int timeout_ms) MUST_CHECK;

#endif
