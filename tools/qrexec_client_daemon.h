/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QREXEC_CLIENT_DAEMON_H
#define TOOLS_QREXEC_CLIENT_DAEMON_H

#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * One command to a qube's daemon over its local socket: HELLO both ways, the command, the port that
 * the daemon chose. The connection then stays: the daemon closes it when the call has ended.
 * Source: doc/protocol/qrexec.md, 5.1 and 6.4.
 */

struct daemon_link;

struct daemon_command {
	const char *socket_dir;
	const char *name; /* of the qube: name, number or uuid:… */
	uint32_t type;    /* QREXEC_EXEC_CMDLINE, _JUST_EXEC or _SERVICE_CONNECT */
	uint32_t domain;  /* who connects to the service's end */
	uint32_t port;    /* 0: the daemon chooses and answers; else there is no answer */
	const void *body; /* after domain and port; ends in NUL */
	size_t body_len;  /* 1 … QREXEC_LOCAL_BODY_MAX - QREXEC_EXEC_LEN */

	/**
	 * done() - once, from the loop
	 * @r: 0, or -1 (logged); @domain, @port: the answer, 0 if there is none
	 */
	void (*done)(void *arg, int r, int domain, int port);
	/** closed() - the daemon ended the connection after done(…, 0, …); once; NULL: not wanted */
	void (*closed)(void *arg);
	void *arg;
};

/**
 * daemon_link_start() - connect and send; the texts are borrowed for the call
 * Errors: 0, or -1 with errno (ENOENT, ECONNREFUSED: no such daemon; EMSGSIZE; EINVAL: a name that
 *         is none). done() is not called then.
 */
int daemon_link_start(struct loop *loop, const struct daemon_command *command,
                      struct daemon_link **ret_link) MUST_CHECK;

/** daemon_link_free() - closes; NULL is accepted; returns NULL */
struct daemon_link *daemon_link_free(struct daemon_link *link);

#endif
