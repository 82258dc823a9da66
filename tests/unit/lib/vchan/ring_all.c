/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, some state of the rings loses, repeats or invents bytes, or believes a bad index. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/vchan/ring.h"

/*
 * Rings of 4 and 8 bytes, every pair of indices (at zero and around 2^32), every value of the
 * peer's index in reach and out of it, every operation with every length: against the model below.
 */

struct model {
	bool broken;
	uint32_t count; /* bytes that can move */
	uint32_t moved;
	bool asked; /* for an event */
	bool told;  /* the event that the peer asked for was sent */
};

static struct model expect(bool reader, uint32_t size, uint32_t own, uint32_t seen, uint32_t now,
                           uint32_t len, bool peer_asked)
{
	uint32_t reach = reader ? size - (seen - own) : own - seen;
	struct model m = {.broken = now - seen > reach};

	if (m.broken)
		return m;
	m.count = reader ? now - own : size - (own - now);
	m.moved = MIN(m.count, len);
	m.asked = m.count < len;
	m.told = m.moved > 0 && peer_asked;
	return m;
}

static _Alignas(8) uint8_t page[64];
static uint8_t left[8], right[8];
static unsigned int events;
static unsigned long states;

static void count_event(void *arg)
{
	events++;
}

static void check_one(bool server, bool reader, uint32_t order, uint32_t own, uint32_t seen,
                      uint32_t now, uint32_t len, bool peer_asked)
{
	struct ring_page *shared = (struct ring_page *)page;
	uint8_t bit = reader ? RING_NOTIFY_READ : RING_NOTIFY_WRITE;
	uint8_t ask = reader ? RING_NOTIFY_WRITE : RING_NOTIFY_READ;
	_Atomic uint8_t *to_us = server ? &shared->srv_notify : &shared->cli_notify;
	_Atomic uint8_t *to_peer = server ? &shared->cli_notify : &shared->srv_notify;
	struct model m = expect(reader, 1U << order, own, seen, now, len, peer_asked);
	struct ring_pair ring;
	struct ring_way *way;
	uint8_t buf[9], data[8] = {0};
	ssize_t r;

	memset(page, 0, sizeof(page));
	shared->cli_live = shared->srv_live = RING_LIVE_HERE;
	ring_attach(&ring, &(struct ring_setup){.page = page,
	                                        .left = left,
	                                        .right = right,
	                                        .left_order = order,
	                                        .right_order = order,
	                                        .is_server = server,
	                                        .notify = count_event});
	for (uint32_t i = 0; i < 8; i++)
		left[i] = right[i] = (uint8_t)(0x80 + i);
	for (uint8_t i = 0; i < 9; i++)
		buf[i] = i;
	way = reader ? &ring.rx : &ring.tx;
	way->own = own;
	way->peer = seen;
	*way->peer_at = now;
	*to_us = peer_asked ? bit : 0;
	events = 0;
	r = reader ? ring_read(&ring, buf, len) : ring_write(&ring, buf, len);
	states++;

	assert_int_equal(ring.broken != NULL, m.broken);
	assert_int_equal(r, m.broken ? -1 : (ssize_t)m.moved);
	assert_int_equal(way->own, own + m.moved);
	if (m.moved > 0)
		assert_int_equal(*way->own_at, own + m.moved);
	assert_int_equal(events, m.told);
	assert_int_equal(*to_peer, m.asked ? ask : 0);
	memcpy(data, way->data, way->size);
	for (uint32_t i = 0; i < m.moved; i++) {
		uint32_t at = (own + i) & (way->size - 1);

		assert_int_equal(reader ? buf[i] : data[at], reader ? 0x80 + at : i);
		data[at] = (uint8_t)(0x80 + at);
	}
	for (uint32_t at = 0; at < way->size; at++)
		assert_int_equal(data[at], 0x80 + at);
	for (uint32_t i = reader ? m.moved : 0; i < 9; i++)
		assert_int_equal(buf[i], i);
}

static void check_indices(uint32_t order, uint32_t own, bool reader, bool server)
{
	uint32_t size = 1U << order;

	for (uint32_t unread = 0; unread <= size; unread++) {
		uint32_t seen = reader ? own + unread : own - unread;

		for (uint32_t step = 0; step < 4 * size; step++) {
			for (uint32_t len = 0; len <= size + 1 && len < 9; len++) {
				uint32_t now = seen + step - 2 * size;

				check_one(server, reader, order, own, seen, now, len, false);
				check_one(server, reader, order, own, seen, now, len, true);
			}
		}
	}
}

static void test_all(void **state)
{
	static const uint32_t starts[] = {0, 0x7FFFFFF8, 0xFFFFFFF8};

	for (uint32_t order = 2; order <= 3; order++) {
		for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
			for (uint32_t i = 0; i < 16; i++) {
				for (int which = 0; which < 4; which++)
					check_indices(order, starts[s] + i, which & 1, which & 2);
			}
		}
	}
	print_message("# %lu states\n", states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        {"ring-all every state of small rings", test_all, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests_name("ring_all", tests, NULL, NULL);
}
