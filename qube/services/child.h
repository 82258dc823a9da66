/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_CHILD_H
#define QUBE_SERVICES_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Programs that a service of a qube starts: renderers, and calls of other services. No shell; the path
 * is searched in PATH.
 */

/**
 * child_start() - a program whose output is read
 * @in_fd:  its standard input, borrowed; -1: /dev/null
 * @ret_out: given, to be closed
 * Errors: 0, or -1 with errno (ENOENT: there is no such program).
 */
int child_start(const char *const *argv, int in_fd, int *ret_out, pid_t *ret_pid) MUST_CHECK;

/** child_wait() - its exit status, or 128 + the signal; -1 with errno */
int child_wait(pid_t pid);

/**
 * child_output() - what a program prints
 * @data:  max bytes of room; a NUL is put behind what came; more than that fails
 * Errors: its exit status; -1 with errno.
 */
int child_output(const char *const *argv, int in_fd, char *data, size_t max) MUST_CHECK;

struct child_call {
	pid_t client;
	pid_t feeder;
	int fd; /* the answer */
};

/**
 * child_call() - call a service of another qube with a file as its input
 * @head:  head_len bytes before the file's; @file: borrowed, read by another process until its end
 * Errors: 0, or -1 with errno.
 */
int child_call(const char *target, const char *service, const char *head, size_t head_len, int file,
               struct child_call *out) MUST_CHECK;

/** child_call_end() - closes, waits; the client's exit status, or -1 with errno */
int child_call_end(struct child_call *call);

/** child_call_abort() - the same at once, for an answer that is not wanted any more */
void child_call_abort(struct child_call *call);

#endif
