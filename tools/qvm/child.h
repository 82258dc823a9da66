/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_CHILD_H
#define TOOLS_QVM_CHILD_H

#include <sys/types.h>

#include "tools/client/arena.h"

/* Programs that a command starts. */

/** child_status() - how a process ended, as a shell has it: 128 + N for signal N; -1 with errno */
int child_status(pid_t pid);

/**
 * child_start() - starts a program, found by PATH if its name has no slash
 * @argv:  NULL-terminated
 * @fds:   for its descriptors 0, 1 and 2; -1: as here
 * Errors: the process, or -1 with errno.
 */
pid_t child_start(const char *const *argv, const int fds[3]) MUST_CHECK;

/** child_run() - starts a program, waits; its status, or -1 with errno where it could not be started */
int child_run(const char *const *argv);

/** child_read() - runs a program and gives the first line that it prints; NULL: it failed, said why */
const char *child_read(const char *const *argv);

#endif
