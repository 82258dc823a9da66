/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_RING_H
#define LIB_VCHAN_RING_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/base/compat.h"

/*
 * The two rings of a vchan in shared memory, with the layout and the notification protocol of
 * libxenvchan, so that the other side may be a stock libxenvchan. This is the only code that
 * touches the shared page; it works over any memory and any way to notify.
 *
 * Trust: the peer writes any byte of the page and of both rings at any time, from another CPU.
 * What we own is kept privately and only stored to the page; what the peer owns is loaded once for
 * each operation, checked, and remembered. A peer that breaks the rules ends the channel.
 *
 * Source: doc/protocol/vchan.md, 3.1 to 3.3, 3.6, 3.7, and H1 to H10 of section 4.
 * Test: tests/unit/lib/vchan_ring.c, vchan_ring_all.c, vchan_scribble.c; fuzz/vchan_ring.c;
 *       doc/model/vchan_notify.pml
 */

#define RING_PAGE         4096U
#define RING_ORDER_MIN    10U /* protocol */
#define RING_ORDER_PAGES  12U /* from here on a ring has pages of its own */
#define RING_ORDER_MAX    20U /* protocol */
#define RING_GRANTS_MAX   ((RING_PAGE - 24U) / 4U)

#define RING_NOTIFY_WRITE 0x1U /* tell me when you have written */
#define RING_NOTIFY_READ  0x2U /* tell me when you have read */

#define RING_LIVE_GONE    0
#define RING_LIVE_HERE    1
#define RING_LIVE_AWAITED 2

/* offset | writer | meaning; left: client to server, right: server to client */
struct ring_page {
	_Atomic uint32_t left_cons;   /* 0 server; free running modulo 2^32 */
	_Atomic uint32_t left_prod;   /* 4 client */
	_Atomic uint32_t right_cons;  /* 8 client */
	_Atomic uint32_t right_prod;  /* 12 server */
	_Atomic uint16_t left_order;  /* 16 server, once; log2 of bytes */
	_Atomic uint16_t right_order; /* 18 server, once */
	_Atomic uint8_t cli_live;     /* 20 RING_LIVE_* */
	_Atomic uint8_t srv_live;     /* 21 */
	_Atomic uint8_t cli_notify;   /* 22 RING_NOTIFY_*; requests to the client */
	_Atomic uint8_t srv_notify;   /* 23 requests to the server */
	_Atomic uint32_t grants[];    /* 24 server, once; the left ring's, then the right ring's */
};
static_assert(offsetof(struct ring_page, right_prod) == 12, "layout of libxenvchan");
static_assert(offsetof(struct ring_page, left_order) == 16, "layout of libxenvchan");
static_assert(offsetof(struct ring_page, cli_live) == 20, "layout of libxenvchan");
static_assert(offsetof(struct ring_page, srv_notify) == 23, "layout of libxenvchan");
static_assert(offsetof(struct ring_page, grants) == 24, "layout of libxenvchan");
static_assert(sizeof(_Atomic uint32_t) == 4 && sizeof(_Atomic uint8_t) == 1, "plain atomics");

/* One direction, as one side sees it. */
struct ring_way {
	uint8_t *data; /* shared */
	uint32_t size; /* bytes, a power of two; private */
	uint32_t own;  /* index that we own: prod of what we write, cons of what we read */
	uint32_t peer; /* the other index as last seen and found good */
	_Atomic uint32_t *own_at;  /* where own is published; never read */
	_Atomic uint32_t *peer_at; /* loaded once for each operation */
};

enum ring_state { RING_CLOSED, RING_OPEN, RING_WAITING };

struct ring_pair {
	struct ring_page *page;
	struct ring_way tx;
	struct ring_way rx;
	void (*notify)(void *arg);
	void *notify_arg;
	enum ring_state state; /* latched */
	const char *broken;    /* how the peer broke the rules; NULL: it did not */
	bool is_server;
	bool patient;   /* see ring_rx_done() */
	bool hello_due; /* the client is there and the server was not notified of it */
};

/* What ring_attach() needs; memory is borrowed and must outlive the pair. */
struct ring_setup {
	void *page;
	void *left;
	void *right;
	uint32_t left_order;
	uint32_t right_order;
	bool is_server;
	void (*notify)(void *arg); /* sends one event to the peer; must not block */
	void *notify_arg;
};

/** ring_choose_orders() - the server's choice for the sizes asked for; 0, or -1 with errno EINVAL */
int ring_choose_orders(size_t read_min, size_t write_min, uint32_t *ret_left, uint32_t *ret_right)
        MUST_CHECK;

/** ring_orders_valid() - whether a client may use them: 10 … 20, not the same place in the page,
 *  and the list of grants does not reach into an in-page ring (H1, H2) */
bool ring_orders_valid(uint32_t left_order, uint32_t right_order);

/** ring_load_orders() - the orders of a page that a server made, loaded once.
 *  Errors: 0, or -1 with errno EPROTO: not valid; nothing else of the page may be used then. */
int ring_load_orders(const struct ring_page *page, uint32_t *ret_left, uint32_t *ret_right)
        MUST_CHECK;

/** ring_load_grants() - a private copy of the server's list, loaded once (H2)
 *  Returns how many there are for these valid orders, at most RING_GRANTS_MAX. */
size_t ring_load_grants(const struct ring_page *page, uint32_t left_order, uint32_t right_order,
                        uint32_t ret_grants[RING_GRANTS_MAX]);

/** ring_left_offset(), ring_right_offset(), ring_area() - where the rings are if the control page
 *  and the pages of the rings follow each other in memory, and the bytes of all. Orders valid. */
size_t ring_left_offset(uint32_t left_order);
size_t ring_right_offset(uint32_t left_order, uint32_t right_order);
size_t ring_area(uint32_t left_order, uint32_t right_order);

/** ring_format() - the server's first contents of a zeroed page
 *  @grants: borrowed, n of them as the transport has them; 0 for memory that needs none */
void ring_format(struct ring_page *page, uint32_t left_order, uint32_t right_order,
                 const uint32_t *grants, size_t n_grants);

/** ring_attach() - start one side; indices from zero */
void ring_attach(struct ring_pair *ring, const struct ring_setup *setup);

/** ring_hello() - the client is there: says so in the page and notifies */
void ring_hello(struct ring_pair *ring);

/** ring_hello_later() - the same for a client that is about to read or write: the server is notified
 *  with the first bytes, or when we ask for an event of its own, whatever comes first */
void ring_hello_later(struct ring_pair *ring);

/** ring_close() - we are gone: says so in the page and notifies; the memory may be unmapped then */
void ring_close(struct ring_pair *ring);

/** ring_update() - loads the peer's live byte once and latches what it says (H7) */
enum ring_state ring_update(struct ring_pair *ring);

/** ring_readable() / ring_writable() - bytes; asks for an event if fewer than @wanted */
size_t ring_readable(struct ring_pair *ring, size_t wanted);
size_t ring_writable(struct ring_pair *ring, size_t wanted);

/**
 * ring_read() / ring_peek() / ring_write() - a stream; a short result asks for an event
 * Errors: bytes moved; 0 none now; -1 with errno EPIPE (closed and drained; closed; broken).
 */
ssize_t ring_read(struct ring_pair *ring, void *buf, size_t len) MUST_CHECK;
ssize_t ring_peek(struct ring_pair *ring, void *buf, size_t len) MUST_CHECK;
ssize_t ring_write(struct ring_pair *ring, const void *buf, size_t len) MUST_CHECK;

/** ring_write_whole() - both parts or nothing
 *  Errors: 0; 1 no room now, an event is asked for; -1 with errno EPIPE, EMSGSIZE. */
int ring_write_whole(struct ring_pair *ring, const struct iovec parts[2]) MUST_CHECK;

/**
 * ring_rx_spans() / ring_tx_spans() - what can be read or written now, in place
 * @spans:  at most two; valid until the ring is used otherwise. What is in them is the peer's to
 *          change at any time: only for system calls that do not interpret it (H10).
 * Errors: bytes in both, at most len; 0 none now, an event is asked for; -1 with errno EPIPE.
 * ring_rx_done() / ring_tx_done() then move on by what was used. A patient ring tells the writer of
 * room only when half of it or more is free: for who will read on whatever else happens, so that a
 * writer who waits is woken for many bytes instead of few.
 */
ssize_t ring_rx_spans(struct ring_pair *ring, size_t len, struct iovec spans[2]) MUST_CHECK;
ssize_t ring_tx_spans(struct ring_pair *ring, size_t len, struct iovec spans[2]) MUST_CHECK;
void ring_rx_done(struct ring_pair *ring, size_t len);
void ring_tx_done(struct ring_pair *ring, size_t len);

/** ring_put() - copies into spans of ring_tx_spans() and shortens them by it; what does not fit is
 *  left out */
void ring_put(struct iovec spans[2], const void *data, size_t len);

#endif
