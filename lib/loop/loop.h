/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_LOOP_LOOP_H
#define LIB_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * One event loop over epoll. Sources are embedded in their owners and hold no memory of the loop.
 * A handler may remove or free any source, its own included: a removed source is never called again
 * in the same turn. A handler never blocks and never runs the loop. Each ready descriptor is handled
 * at most once a turn, so a busy source cannot starve the others.
 */

struct loop;

struct loop_fd {
	int fd;          /* borrowed; -1 while not in a loop */
	uint32_t events; /* EPOLLIN … as registered */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
};
#define LOOP_FD_EMPTY                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

struct loop_timer {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	size_t index;         /* place in the loop's heap + 1; 0 while not set */
	void (*fn)(void *arg);
	void *arg;
};

/* Runs once, after the handlers of the turn in which it was set. For "there is more to do". */
struct loop_defer {
	struct loop_defer *next;
	struct loop_defer *prev; /* both NULL while not set */
	void (*fn)(void *arg);
	void *arg;
};

/* A child process, by pidfd. Start from LOOP_CHILD_EMPTY. */
struct loop_child {
	struct loop *loop;
	struct loop_fd fd; /* the pidfd, owned; -1 while not in a loop */
	pid_t pid;
	void (*fn)(void *arg, int wait_status);
	void *arg;
};

#define LOOP_CHILD_EMPTY                                                                           \
	{                                                                                          \
		.fd = LOOP_FD_EMPTY, .pid = -1                                                     \
	}

/** loop_new() - NULL with errno on failure */
struct loop *loop_new(void) MUST_CHECK;
struct loop *loop_free(struct loop *loop);

/** loop_run() - until loop_stop(); returns the status given there, or -1 with errno */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int status);

/** loop_turn() - one turn, waiting at most timeout_ms (-1: for ever); 0 or -1 with errno */
int loop_turn(struct loop *loop, int timeout_ms);

/** loop_now_ns() - CLOCK_MONOTONIC */
uint64_t loop_now_ns(void);

/**
 * loop_fd_add() - watch a descriptor; s must not be in a loop
 * Errors: 0, or -1 with errno (ENOMEM, ENOSPC, EPERM: a regular file).
 */
int loop_fd_add(struct loop *loop, struct loop_fd *s, int fd, uint32_t events,
                void (*fn)(void *arg, uint32_t events), void *arg) MUST_CHECK;

/** loop_fd_set() - change what is watched; no system call if nothing changes; events 0 keeps HUP/ERR */
void loop_fd_set(struct loop *loop, struct loop_fd *s, uint32_t events);

/** loop_fd_remove() - does nothing if s is not in the loop; the descriptor stays open */
void loop_fd_remove(struct loop *loop, struct loop_fd *s);

/** loop_timer_set() - (re)arms; 0, or -1 with errno ENOMEM */
int loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms,
                   void (*fn)(void *arg), void *arg) MUST_CHECK;
void loop_timer_clear(struct loop *loop, struct loop_timer *t);

void loop_defer_set(struct loop *loop, struct loop_defer *d, void (*fn)(void *arg), void *arg);
void loop_defer_clear(struct loop *loop, struct loop_defer *d);

/**
 * loop_child_add() - call fn with the wait status when the child ends; it is reaped then
 * Errors: 0, or -1 with errno.
 */
int loop_child_add(struct loop *loop, struct loop_child *c, pid_t pid,
                   void (*fn)(void *arg, int wait_status), void *arg) MUST_CHECK;

/** loop_child_remove() - stop watching; the child is not reaped */
void loop_child_remove(struct loop *loop, struct loop_child *c);

/**
 * loop_signal_add() - block a signal and deliver it to fn from the loop, with the sender's pid
 * At most LOOP_SIGNAL_MAX signals a loop. Children must reset their signal mask.
 */
#define LOOP_SIGNAL_MAX 8
int loop_signal_add(struct loop *loop, int signo, void (*fn)(void *arg, int signo, pid_t sender),
                    void *arg) MUST_CHECK;

#endif
