/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_LIB_VCHAN_STOCK_H
#define TESTS_UNIT_LIB_VCHAN_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The peer as libxenvchan has it: the algorithm of doc/protocol/vchan.md, 3.1 to 3.7, a second time,
 * from the document alone and with nothing of lib/vchan. It keeps its own indices in the page, as
 * the original does, and believes its peer.
 */

struct stock {
	uint8_t *page;
	uint8_t *left, *right; /* ring data; left: client to server */
	uint32_t left_order, right_order;
	bool server;
	void (*notify)(void *arg);
	void *notify_arg;
	unsigned long requests; /* bits that it set which were clear before: events it may expect */
};

/** stock_format() - what a server puts into a zeroed page */
void stock_format(uint8_t *page, uint32_t left_order, uint32_t right_order);

/** stock_place() - where a ring lies if its pages follow the control page in memory */
size_t stock_place(uint32_t left_order, uint32_t right_order, bool left);

/** stock_hello(), stock_close() - the client has mapped the page; either one is gone */
void stock_hello(struct stock *s);
void stock_close(struct stock *s);

bool stock_peer_is_live(const struct stock *s);

/* Bytes; each asks for an event. */
size_t stock_data_ready(struct stock *s);
size_t stock_buffer_space(struct stock *s);

/* Without waiting: bytes moved, 0 for none. send and recv: all or none. */
size_t stock_write(struct stock *s, const void *data, size_t len);
size_t stock_read(struct stock *s, void *data, size_t len);
size_t stock_send(struct stock *s, const void *data, size_t len);
size_t stock_recv(struct stock *s, void *data, size_t len);

#endif
