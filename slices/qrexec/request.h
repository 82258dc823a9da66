/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_REQUEST_H
#define SLICES_QREXEC_REQUEST_H

#include "proto/policy.h"
#include "slices/qrexec/keeper.h"

/*
 * One call that the qube asked for, from the request to SERVICE_CONNECT or SERVICE_REFUSED:
 * policy, then perhaps a start of the target, then the target's daemon or the runner.
 * A request ends in exactly one of the two answers, or with the agent that asked.
 */

enum request_state {
	REQUEST_NEW,
	REQUEST_QUEUED,     /* program: too many run; link: the socket is full */
	REQUEST_LOST,       /* asked on a connection that is lost */
	REQUEST_POLICY,     /* asked */
	REQUEST_STARTING,   /* qubesd creates or starts the target */
	REQUEST_CONNECTING, /* the target's daemon: command being sent, answer awaited */
	REQUEST_PORT,       /* dom0 service: waits for a port */
};

struct request {
	struct keeper *k;
	uint32_t id; /* slot and turn; the question's id */
	enum request_state state;
	bool answered;    /* a local client brought the SERVICE_CONNECT */
	bool asked_again; /* the policy connection was lost once */
	bool has_source;
	uint64_t call; /* for the trace */
	uint8_t ident[QREXEC_IDENT_LEN];
	char source[QREXEC_TARGET_LEN]; /* claimed */
	char target[QREXEC_TARGET_LEN];
	char *name;              /* service[+argument]; owned */
	struct loop_timer timer; /* limit for the stage */
	struct text_ask *text;   /* a question in text form; NULL: none */

	/* After allow. */
	bool autostart;
	bool started;  /* the target was asked to start */
	char *dest;    /* qube name or uuid:…; owned */
	char *command; /* with the user; owned */
	struct qubesd_call *qubesd;
	struct disposable *disposable; /* owned until the call is connected */
	struct port_wait wait;
	uint64_t waits_ms; /* PORT: since */
	int fd;            /* to the target's daemon */
	struct loop_fd source_fd;
	struct loop_timer again; /* to try the connection again */
	uint8_t *out;            /* bytes not sent; owned */
	size_t out_len;
	size_t out_at;
	uint8_t in[QREXEC_HELLO_MESSAGE_LEN + QREXEC_HEADER_LEN + QREXEC_EXEC_LEN];
	size_t in_len;
};

/** request_new() - a call that the qube wants; answered at once if there are too many */
void request_new(struct keeper *k, const struct keeper_request *message);

/**
 * request_connected() - a local client's SERVICE_CONNECT
 * @ident:  body_len bytes, the last one NUL; may be shorter than the request's ident
 * Errors: 0: a request waits under that ident, and is answered from now on; -1: none does.
 */
int request_connected(struct keeper *k, const char *ident, size_t body_len) MUST_CHECK;

/** request_find() - by id; NULL: it has ended */
struct request *request_find(struct keeper *k, uint32_t id);

/** request_verdict() - policy's answer; NULL: none could be had. The request may be gone after it. */
void request_verdict(struct request *r, const struct policy_answer *answer);

/** request_connect() - tell the agent where to listen; then the request is gone */
void request_connect(struct request *r, uint32_t domain, uint32_t port);

/** request_refuse() - then the request is gone. why: for the log; a literal */
void request_refuse(struct request *r, const char *why);

/** requests_drop() - the agent is gone: no answers */
void requests_drop(struct keeper *k);

/** request_each() - fn for every request in that state; fn may end any request */
void request_each(struct keeper *k, enum request_state state, void (*fn)(struct request *r));

#endif
