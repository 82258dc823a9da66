/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_AGENT_H
#define QUBE_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"
#include "qube/agent/pool.h"

/*
 * The agent of a qube: one event loop. control.c speaks with dom0, which is trusted; trigger.c with
 * local users, who are not, and must not be able to stop anything; calls.c runs what dom0 asks for;
 * session.c holds back what waits for the user's session; absent.c stands in for callers that went.
 */

struct call;
struct control;
struct trigger;
struct session;

struct agent {
	struct loop *loop;
	struct pool *pool;
	struct control *control;
	struct trigger *trigger;
	struct session *session;
	struct call *calls;    /* all that have not ended */
	struct absent *absent; /* callers that have gone */
	size_t n_absent;
	const char *socket_path;        /* of the local trigger socket */
	const char *fork_server_format; /* with one %s; NULL: not used */
	bool woke_meminfo;
	size_t n_inline; /* calls that run in this process */
	bool leaving;    /* a copy of the agent that only finishes its calls */
};

/* control.c: the control channel. */

/** control_start() - listen; 0, or -1 with errno */
int control_start(struct agent *agent) MUST_CHECK;
/** control_send() - queue a message for dom0; len is that of the body, in two parts. While nobody
 *  is there it waits. Without memory it is dropped and logged. */
void control_send(struct agent *agent, uint32_t type, const void *body, size_t len,
                  const void *more, size_t more_len);
/** control_send_terminated() - the call on this data channel is over */
void control_send_terminated(struct agent *agent, uint32_t domain, uint32_t port);
/** control_ready() - HELLO is done and there is little in the queue: take requests of local users */
bool control_ready(const struct agent *agent);

/** control_stop() - close the channel for good; messages for dom0 are dropped from now on */
void control_stop(struct agent *agent);

/* trigger.c: the local socket. */

int trigger_start(struct agent *agent) MUST_CHECK;
/** trigger_connect() - SERVICE_CONNECT from dom0; ident is NUL-terminated */
void trigger_connect(struct agent *agent, const char *ident, uint32_t domain, uint32_t port);
/** trigger_refuse() - SERVICE_REFUSED from dom0; QREXEC_IDENT_LEN bytes */
void trigger_refuse(struct agent *agent, const char *ident);
/** trigger_control_changed() - control_ready() may have changed; @lost: the channel closed, nobody
 *  will answer what was asked on it */
void trigger_control_changed(struct agent *agent, bool lost);

/** trigger_stop() - close the socket and all its clients; nothing is reported */
void trigger_stop(struct agent *agent);

/* absent.c: callers that have gone. */

/** absent_serve() - let the service of a caller that never listened end; then tell dom0 */
void absent_serve(struct agent *agent, uint32_t domain, uint32_t port);
/** absent_cancel() - a caller that is there will listen on this port */
void absent_cancel(struct agent *agent, uint32_t domain, uint32_t port);
/** absent_stop() - close them all; nothing is reported */
void absent_stop(struct agent *agent);

/* calls.c: services that dom0 wants run. */

/** calls_start() - EXEC_CMDLINE or JUST_EXEC; line is NUL-terminated */
void calls_start(struct agent *agent, bool just_exec, uint32_t domain, uint32_t port,
                 const char *line);

/* session.c: wait-for-session. */

struct session_waiter {
	struct session_waiter *next;
	void (*run)(void *arg);
	void *arg;
};

int session_start(struct agent *agent) MUST_CHECK;
/** session_wait() - run() is called when qubes.WaitForSession has ended, whatever its status, or now
 *  if too many wait already */
void session_wait(struct agent *agent, struct session_waiter *waiter, const char *user,
                  const char *source);

#endif
