/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_POOL_H
#define QUBE_AGENT_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "call/service.h"
#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * Processes that run programs, one call at a time each, and are used again. The program of a call
 * knows its data process by QREXEC_AGENT_PID and may signal it, so it needs one of its own; made
 * ahead, it costs a call nothing. They are forked by a small process of their own, the spawner, so
 * that the agent with its thousands of descriptors is never copied.
 */

struct pool;

#define AGENT_CHANNEL_MS 120000 /* from a call to its open data channel; protocol */

#define POOL_SHELL_MAX   256

/* A call, as it goes to a worker; the command line follows it. Between processes of one program, so
 * its layout is that of the struct. */
struct pool_job {
	uint32_t domain; /* where to connect the data channel */
	uint32_t port;
	bool just_exec;
	bool has_found;              /* rpc */
	int status;                  /* not 0: only report this code */
	char user[SERVICE_USER_MAX]; /* to run as; "": the agent's own */
	char shell[POOL_SHELL_MAX];  /* "": /bin/sh */
	struct service_found found;
};

/**
 * pool_new() - starts the spawner: call it before descriptors are opened that workers must not hold
 * Errors: 0, or -1 with errno.
 */
int pool_new(struct pool **ret_pool) MUST_CHECK;

/** pool_attach() - the loop in which calls end; starts the first workers. 0, or -1 with errno */
int pool_attach(struct pool *pool, struct loop *loop) MUST_CHECK;

/**
 * pool_run() - give a call to a worker
 * @line:  the whole command line, user part included; borrowed for the call
 * @done:  called once when the call is over or its worker died; never from within pool_run()
 * Errors: 0, or -1 with errno (no descriptor, no memory); done() is not called then.
 */
int pool_run(struct pool *pool, const struct pool_job *job, const char *line,
             void (*done)(void *arg), void *arg) MUST_CHECK;

#endif
