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
};

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
};

/** talk_serve() - answer requests until TALK_END; 0, or -1: the peer is gone before that */
int talk_serve(struct pipe_end *end) MUST_CHECK;

#endif
