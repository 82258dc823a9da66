/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_POLICY_EXEC_CALL_H
#define TOOLS_POLICY_EXEC_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"
#include "proto/policy.h"

/* The deprecated form of qrexec-policy-exec, with five arguments: an allowed call is also made. */

/* Who calls: the daemon's words, as they stand in the arguments. */
struct policy_exec_caller {
	const char *domid;
	const char *name;
	const char *service; /* with its argument */
	const char *ident;
};

/**
 * policy_exec_call() - start the target or make the disposable, and become qrexec-client
 * Errors: returns only on failure, after a log line, with the exit status 1; a disposable that was
 *         made is killed then.
 */
int policy_exec_call(const struct policy_exec_caller *caller, const struct policy_answer *answer)
        MUST_CHECK;

/**
 * policy_exec_exchange() - a request to a Unix socket, and the reply up to its end
 * @path:        below the root
 * @half_close:  end of the request
 * Errors: the reply (given) with a NUL after it; NULL: nobody answers.
 */
char *policy_exec_exchange(const char *path, const char *request, size_t len, bool half_close,
                           unsigned int timeout_ms, size_t *ret_len) MUST_CHECK;

#endif
