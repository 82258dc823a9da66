/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_SLICE_H
#define SLICES_QREXEC_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "proto/keeper.h"

/*
 * The slice's state machine: the control channel of one qube on one side, its keeper on the other.
 * It holds at most one message each way: while the keeper does not take a request the agent is not
 * read, and while the agent does not take a command the keeper is not read.
 */

enum slice_state {
	SLICE_HELLO, /* the agent's HELLO has not come */
	SLICE_RUNNING,
};

/* What a step leaves behind. A value of enum keeper_end means: tell the keeper and end. */
enum slice_outcome {
	SLICE_ON = 0,
	SLICE_CLOSED = KEEPER_END_CLOSED,
	SLICE_BAD_HELLO = KEEPER_END_HELLO,
	SLICE_BROKEN = KEEPER_END_BROKEN,
	SLICE_ORPHANED, /* the keeper is gone or talks nonsense: end at once */
};

#define SLICE_IN_MAX (QREXEC_HEADER_LEN + QREXEC_BODY_MAX)

struct slice {
	struct vchan *vchan; /* owned by the caller */
	uint32_t domain;     /* the qube's number, for the trace */
	enum slice_state state;
	uint32_t version; /* of the protocol: 2 … 4; 0 before HELLO */
	uint32_t serial;  /* of the last request */
	struct log_limit log_limit;

	/**
	 * send() - one packet to the keeper
	 * Errors: 0; 1: it cannot be taken now; -1: the keeper is gone.
	 */
	int (*send)(void *arg, const void *data, size_t len);
	void *arg;

	bool in_partial; /* the agent began a message and has not finished it */
	size_t in_len;   /* bytes read and not handled */
	size_t up_len;   /* bytes of up that wait for the keeper; 0: none */
	size_t down_at;  /* next byte of down for the agent */
	size_t down_end; /* down_at == down_end: nothing waits */
	uint64_t down_call;
	uint32_t down_type;
	uint8_t in[SLICE_IN_MAX]; /* hostile */
	uint8_t up[KEEPER_REQUEST_LEN + QREXEC_NAME_MAX];
	uint8_t down[KEEPER_PACKET_MAX]; /* a packet, turned into a message in place */
	struct qrexec_trigger trigger;
};

/** slice_agent() - read and handle what the agent sent, up to a bound; call when the channel is ready */
enum slice_outcome slice_agent(struct slice *s) MUST_CHECK;

/** slice_can_take() - may slice_down() be called? */
bool slice_can_take(const struct slice *s);

/**
 * slice_down() - one packet of the keeper, which is in s->down
 * @len:  bytes, at most sizeof(s->down)
 */
enum slice_outcome slice_down(struct slice *s, size_t len) MUST_CHECK;

/** slice_flush() - write on what waits for the agent and for the keeper */
enum slice_outcome slice_flush(struct slice *s) MUST_CHECK;

#endif
