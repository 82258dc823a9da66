/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ring against a hostile page: the input is a sequence of operations and of bytes that the peer
 * writes between them. Nothing but the channel may suffer. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/vchan/ring.h"

#define GUARD 0xA5

struct arena {
	_Alignas(4096) uint8_t page[4096];
	uint8_t guard[64];
};

static unsigned int events;

static void count_event(void *arg)
{
	events++;
}

static void operate(struct ring_pair *ring, uint8_t what, size_t len)
{
	uint8_t buf[4096 + 64];
	struct iovec parts[2] = {{buf, len / 2}, {buf, len - len / 2}};
	struct iovec spans[2];
	bool was_closed = ring->state == RING_CLOSED;
	ssize_t r = 0;

	memset(buf, GUARD, sizeof(buf));
	if (what % 8 == 0)
		r = ring_read(ring, buf, len);
	else if (what % 8 == 1)
		r = ring_write(ring, buf, len);
	else if (what % 8 == 2)
		CHECK(ring_write_whole(ring, parts) <= 1);
	else if (what % 8 == 3)
		CHECK(ring_readable(ring, len) <= ring->rx.size);
	else if (what % 8 == 4)
		CHECK(ring_writable(ring, len) <= ring->tx.size);
	else if (what % 8 == 5)
		r = ring_peek(ring, buf, len);
	else if ((r = ring_rx_spans(ring, len, spans)) > 0)
		ring_rx_done(ring, spans[0].iov_len);
	CHECK(r <= (ssize_t)len);
	for (size_t i = len; i < sizeof(buf); i++)
		CHECK(buf[i] == GUARD);
	CHECK(!was_closed || ring_update(ring) == RING_CLOSED);
	CHECK(!ring->broken || ring->state == RING_CLOSED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena arena;
	struct ring_pair ring;
	uint32_t left, right;

	if (size < 1)
		return 0;
	memset(&arena, 0, sizeof(arena));
	memset(arena.guard, GUARD, sizeof(arena.guard));
	ring_format((struct ring_page *)arena.page, 10, 11, NULL, 0);
	ring_attach(&ring, &(struct ring_setup){.page = arena.page,
	                                        .left = arena.page + 1024,
	                                        .right = arena.page + 2048,
	                                        .left_order = 10,
	                                        .right_order = 11,
	                                        .is_server = data[0] & 1,
	                                        .notify = count_event});
	events = 0;
	/* Four bytes a step: what | where in the first 32 bytes or how much | value, low and high. */
	for (size_t i = 1; i + 4 <= size; i += 4) {
		uint32_t value = (uint32_t)data[i + 2] | (uint32_t)data[i + 3] << 8;

		if (data[i] & 0x80)
			arena.page[data[i + 1] % 32] = data[i + 2];
		else
			operate(&ring, data[i], value % 4097);
	}
	CHECK(events <= size);
	if (ring_load_orders((struct ring_page *)arena.page, &left, &right) == 0)
		CHECK(ring_left_offset(left) != ring_right_offset(left, right));
	for (size_t i = 0; i < sizeof(arena.guard); i++)
		CHECK(arena.guard[i] == GUARD);
	return 0;
}
