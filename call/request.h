/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_REQUEST_H
#define CALL_REQUEST_H

#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * Asking the agent of this qube for a call: connect to its local socket, TRIGGER_SERVICE4, the eight
 * bytes that say for whom to listen. Inside an event loop, any number at once, so that a program can
 * make calls without starting qrexec-client-vm for each. What follows is vchan_listen() for the
 * answer's domain and port, and data_open().
 *
 * Trust: the agent is root in the same qube; its bytes are still taken as untrusted: whatever it
 * answers, the request ends in exactly one outcome. There is no deadline: a prompt takes as long as
 * the user thinks. A caller that wants one frees the request.
 * Source: doc/protocol/qrexec.md, sections 8 and 11.
 */

struct request;

enum request_outcome {
	REQUEST_GRANTED, /* domain and port are set; keep the request until the call is over */
	REQUEST_REFUSED, /* the agent closed the connection without an answer */
	REQUEST_BROKEN,  /* no agent, a cut or absurd answer; logged */
};

struct request_config {
	const char *agent_socket; /* path */
	const char *source;       /* "": this qube itself; at most 63 bytes */
	const char *target;       /* at most 63 bytes; a '$' is sent as '@' */
	const char *service;      /* service[+argument], 1 … 64999 bytes */

	/**
	 * done() - called once, from the loop, never from within request_start()
	 * @domain: of the peer; @port: of the data channel; both 0 unless granted
	 * It may free the request.
	 */
	void (*done)(void *arg, enum request_outcome outcome, int domain, int port);
	void *arg;
};

/**
 * request_start() - begin to ask; the texts are borrowed for the call
 * Errors: 0, or -1 with errno (EINVAL, EMSGSIZE: a text is empty or does not fit; ENOMEM; EMFILE …).
 */
int request_start(struct loop *loop, const struct request_config *config,
                  struct request **ret_request) MUST_CHECK;

/**
 * request_free() - give the request up, or, once granted, tell the agent that the call is over
 *
 * The agent watches this connection and reports CONNECTION_TERMINATED when it closes, so a granted
 * request must outlive its data channel. NULL is accepted; returns NULL.
 */
struct request *request_free(struct request *request);

#endif
