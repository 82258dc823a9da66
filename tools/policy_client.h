/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_POLICY_CLIENT_H
#define TOOLS_POLICY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Calls to the policy administration of dom0, from dom0 (qrexec-client) or from a qube that policy
 * lets do it (qrexec-client-vm); both are found in PATH. Source: doc/protocol/policy.md, 13.
 */

#define POLICY_ERROR_MAX 1024U

/* A policy file as the services name it. */
struct policy_file {
	bool include;
	const char *name; /* "": none, for a list */
};

struct policy_reply {
	int status; /* of the call: 0; 1 refused by the service; 2 it broke; 126 by policy; ... */
	char *out;  /* owned, NUL-terminated behind out_len */
	size_t out_len;
	char error[POLICY_ERROR_MAX]; /* what it said on stderr; "" in a qube: dom0 keeps it */
};

/** policy_file_parse() - [include/]NAME; 0, or -1 after a line on stderr: it holds what no name can */
int policy_file_parse(const char *text, struct policy_file *out) MUST_CHECK;

/**
 * policy_call() - policy.METHOD or policy.include.METHOD, and wait for its end
 * @payload: borrowed; may be NULL with len 0
 * @out:     written whatever happens; policy_reply_fini() is due
 * Errors: 0: the call took place, out->status has its outcome; -1 after a line on stderr: it could not
 *         be made.
 */
int policy_call(const char *method, const struct policy_file *file, const char *payload, size_t len,
                struct policy_reply *out) MUST_CHECK;
void policy_reply_fini(struct policy_reply *reply);

/** policy_reply_is() - whether the service refused with this class (the first word of its error) */
bool policy_reply_is(const struct policy_reply *reply, const char *class);

/** policy_reply_show() - why a call failed, on stderr; what: "policy.Get+30-user" */
void policy_reply_show(const struct policy_reply *reply, const char *method,
                       const struct policy_file *file);

/** policy_reply_content() - the text in the answer of a Get, behind its token line; NULL: it is no
 *  such answer. ret_token: from out, NUL-terminated in place */
const char *policy_reply_content(struct policy_reply *reply, const char **ret_token,
                                 size_t *ret_len);

#endif
