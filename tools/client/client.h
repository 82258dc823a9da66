/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_CLIENT_H
#define TOOLS_CLIENT_CLIENT_H

#include "tools/client/reply.h"

/*
 * Requests to the Admin API. In dom0 each goes over a connection of its own to /run/qubesd.sock (or
 * /var/run/qubesd.sock where that is another folder); in a qube through qrexec-client-vm. Which of the two:
 * the socket is there or it is not.
 *
 * A request that could not be sent, or whose answer could not be read, is answered with the error
 * QubesDaemonAccessError and a text that says what to do; so a caller has one kind of failure.
 */

#define ADMIN_SOCKET          "qubesd.sock"
#define ADMIN_SOCKET_INTERNAL "qubesd.internal.sock"
#define ADMIN_REPLY_MAX       (64U << 20) /* bytes; chosen: a listing of 10,000 qubes has 1 MiB */
#define ADMIN_BATCH_OPEN      128         /* connections at once; chosen */

struct admin_request {
	const char *method;   /* "admin.vm.List" */
	const char *argument; /* NULL: none */
	const char *target;   /* qube */
	const void *payload;
	size_t payload_len;
	struct admin_reply reply; /* written by the call */
};

/** admin_call() - one request with a text as its payload (NULL: none) */
struct admin_reply admin_call(const char *method, const char *argument, const char *target,
                              const char *payload);

/** admin_call_bytes() - one request with any bytes as its payload */
struct admin_reply admin_call_bytes(const char *method, const char *argument, const char *target,
                                    const void *payload, size_t len);

/**
 * admin_call_all() - many requests, sent in their order, several on the way at once
 *
 * They may be executed in any order.
 */
void admin_call_all(struct admin_request *requests, size_t n);

/** admin_call_internal() - to /var/run/qubesd.internal.sock; dom0 only */
struct admin_reply admin_call_internal(const char *method, const char *argument, const char *target,
                                       const char *payload);

/**
 * admin_events_open() - subscribe to the events of a qube, or of all (@target dom0)
 * Errors: the descriptor (given) from which events come, or -1 with *ret_error set.
 */
int admin_events_open(const char *target, const char **ret_error) MUST_CHECK;

/** admin_in_dom0() - whether requests go to a local socket */
bool admin_in_dom0(void);

#endif
