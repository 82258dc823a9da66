/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROCESS_STARTER_H
#define PROCESS_STARTER_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * A filter of system calls, Landlock and "no new privileges" go over to whatever a process starts. A
 * process that must start programs with more rights than it keeps for itself therefore forks a starter
 * first, and confines itself afterwards.
 *
 *   main --request, descriptors--> starter --clone(CLONE_PARENT)--> child: main's child, not the starter's
 *
 * The starter reads no request: it hands it to the new child, which checks it as what it is, a message
 * of a process with fewer rights, does what it asks for, and becomes a program or ends. It holds no
 * descriptor but its socket and the log. It ends with main; main cannot go on without it.
 *
 * Test:  tests/unit/process/starter.c
 */

#define STARTER_REQUEST_MAX (72U << 10) /* bytes; chosen: the longest name of a service and more */

struct starter {
	int fd; /* owned; -1: none */
	pid_t pid;
	struct loop_fd source;
};

#define STARTER_EMPTY                                                                              \
	{                                                                                          \
		.fd = -1, .source = LOOP_FD_EMPTY                                                  \
	}

/* In the new child. Does not return. The descriptors are its own, close-on-exec. */
typedef void starter_child(void *arg, const void *untrusted_request, size_t len, const int *fds,
                           size_t n_fds);

/**
 * starter_open() - forks it; in a process with one thread
 * @confine:  run once in the starter, for what it may give up itself; 0, or -1: it ends. May be NULL
 * Errors: 0, or -1 with errno.
 */
int starter_open(struct starter *s, starter_child *child, int (*confine)(void), void *arg)
        MUST_CHECK;

/** starter_watch() - fn is called once when it has ended; 0 or -1 with errno */
int starter_watch(struct starter *s, struct loop *loop, void (*fn)(void *arg, uint32_t events),
                  void *arg) MUST_CHECK;

/**
 * starter_run() - a new child of the calling process
 * @fds:  borrowed; at most FD_PASS_MAX
 * Errors: its number, or -1 with errno. Waits for the starter, which waits for nobody.
 */
pid_t starter_run(const struct starter *s, const void *request, size_t len, const int *fds,
                  size_t n_fds) MUST_CHECK;

/** starter_close() - ends it and waits for its end; what it started goes on */
void starter_close(struct starter *s, struct loop *loop);

#endif
