/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_TALK_H
#define TESTS_XEN_TALK_H

#include <stdint.h>

#include "tests/xen/pipe.h"

/*
 * What the two ends of a test say to each other: requests of 8 bytes, u32 what and u32 how many
 * bytes, in the machine's own order.
 */
enum talk_what {
	TALK_ECHO = 1,   /* these bytes follow; they come back */
	TALK_SINK = 2,   /* these bytes follow; their sum comes back, u32 */
	TALK_SOURCE = 3, /* so many bytes are wanted: talk_byte() of each place */
	TALK_END = 4,    /* close */
	/* In place of a length: see talk_meeting() and below. A u32 comes back. */
	TALK_MEET = 5,   /* open a channel to another qube; 1: it is under way */
	TALK_STATE = 6,  /* wait until one of them is in a state; in which it is */
	TALK_NET = 7,    /* a byte each way by TCP; 1: it came. 0: over its vif, 1: over eth0 */
	TALK_MEMORY = 8, /* total KiB that its kernel has */
};

/** talk_meeting() - argument of TALK_MEET: which of the qube's channels, with whom; of TALK_STATE: the same, with the
 *  wanted state in the place of @peer */
#define TALK_MEETINGS 4U
static inline uint32_t talk_meeting(uint32_t which, bool listen, uint32_t peer)
{
	return which << 24 | (listen ? 1U << 16 : 0U) | peer;
}

#define TALK_PIECE 65536U

/** talk_byte() - what stands at a place of a source or sink */
static inline uint8_t talk_byte(uint64_t place)
{
	return (uint8_t)(place * 7 + place / 251);
}

/* Where the test's channels are: one port each; the names are the qube's side. */
enum talk_port {
	TALK_OURS_LISTENS = 700,
	TALK_STOCK_LISTENS = 701,
	TALK_OURS_CONNECTS = 702,
	TALK_STOCK_CONNECTS = 703,
	TALK_STOCK_BENCH = 704,  /* stock listens, for stock */
	TALK_OURS_BENCH = 705,   /* ours listens, for ours */
	TALK_SLICE = 706,        /* ours listens, for a slice */
	TALK_FIRST = 707,        /* ours listens; that it does shows that the qube is up */
	TALK_POLLED_BENCH = 708, /* stock listens, and waits as the programs of Qubes do */
	TALK_BETWEEN = 720,      /* between two qubes: and the next TALK_MEETINGS - 1 */
};

/** talk_ask() - a request with its argument, and the answer of those with one; 0, or -1: the peer is gone */
int talk_ask(struct pipe_end *end, enum talk_what what, uint32_t argument) MUST_CHECK;
int talk_answer(struct pipe_end *end, uint32_t *ret_answer) MUST_CHECK;

/* What only a qube does (talk_qube.c). */
uint32_t talk_meet(uint32_t argument);
uint32_t talk_wait_state(uint32_t argument);
uint32_t talk_net(uint32_t role);
uint32_t talk_memory(void);

/** talk_serve() - answer requests until TALK_END; 0, or -1: the peer is gone before that */
int talk_serve(struct pipe_end *end) MUST_CHECK;

#endif
