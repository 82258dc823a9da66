/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a stock libxenvchan peer hangs or a hostile one does more than end its channel. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/vchan/ring.h"

/*
 * Cases 22 to 33 of doc/protocol/vchan.md, section 6: the rings over plain memory, with a mock event
 * channel that counts. The page is also looked at as bytes, at the offsets of the protocol.
 */

struct side {
	struct ring_pair ring;
	unsigned int events; /* sent by this side */
};

struct pair {
	_Alignas(4096) uint8_t memory[4096 + 2 * (1 << 16)];
	struct side server;
	struct side client;
};

static struct pair p;

static void count_event(void *arg)
{
	((struct side *)arg)->events++;
}

static void attach(struct side *side, bool is_server, uint32_t left, uint32_t right)
{
	ring_attach(&side->ring, &(struct ring_setup){
	                                 .page = p.memory,
	                                 .left = p.memory + ring_left_offset(left),
	                                 .right = p.memory + ring_right_offset(left, right),
	                                 .left_order = left,
	                                 .right_order = right,
	                                 .is_server = is_server,
	                                 .notify = count_event,
	                                 .notify_arg = side,
	                         });
}

static void start(size_t read_min, size_t write_min)
{
	static const uint32_t grants[32];
	uint32_t left, right;

	memset(&p, 0, sizeof(p));
	assert_int_equal(ring_choose_orders(read_min, write_min, &left, &right), 0);
	ring_format((struct ring_page *)p.memory, left, right, grants, 0);
	attach(&p.server, true, left, right);
	attach(&p.client, false, left, right);
	ring_hello(&p.client.ring);
	p.client.events = 0;
	assert_int_equal(ring_update(&p.server.ring), RING_OPEN);
}

static void start_at(uint32_t index)
{
	start(4096, 4096);
	for (size_t i = 0; i < 4; i++)
		le32_put(p.memory + 4 * i, index);
	p.server.ring.rx.own = p.server.ring.rx.peer = index;
	p.server.ring.tx.own = p.server.ring.tx.peer = index;
	p.client.ring.rx.own = p.client.ring.rx.peer = index;
	p.client.ring.tx.own = p.client.ring.tx.peer = index;
}

/* If this failed, a client's server would sleep on, or be woken twice for each call. */
static void test_hello_goes_with_the_first_event(void **state)
{
	static const uint32_t grants[32];
	char byte = 0;

	(void)state;
	for (int way = 0; way < 3; way++) {
		start(4096, 4096);
		ring_format((struct ring_page *)p.memory, 12, 12, grants, 0);
		attach(&p.server, true, 12, 12);
		attach(&p.client, false, 12, 12);
		ring_hello_later(&p.client.ring);
		assert_int_equal(p.client.events, 0);
		assert_int_equal(ring_update(&p.server.ring), RING_OPEN);
		if (way == 0)
			assert_int_equal(ring_write(&p.client.ring, "x", 1), 1);
		else if (way == 1)
			assert_int_equal(ring_read(&p.client.ring, &byte, 1), 0);
		else
			ring_close(&p.client.ring);
		assert_int_equal(p.client.events, 1);
		(void)ring_readable(&p.client.ring, 1);
		assert_int_equal(p.client.events, 1);
	}
}

static void test_22_control_page(void **state)
{
	static const uint32_t grants[2] = {0x11223344, 0x55667788};
	uint8_t page[4096] __attribute__((aligned(4096))) = {0};
	static const uint8_t zero[16];

	ring_format((struct ring_page *)page, 12, 12, grants, 2);
	assert_memory_equal(page, zero, 16);
	assert_int_equal(le16_get(page + 16), 12);
	assert_int_equal(le16_get(page + 18), 12);
	assert_int_equal(page[20], 2);
	assert_int_equal(page[21], 1);
	assert_int_equal(page[22], 1);
	assert_int_equal(page[23], 0);
	assert_int_equal(le32_get(page + 24), 0x11223344);
	assert_int_equal(le32_get(page + 28), 0x55667788);
}

static void test_23_orders(void **state)
{
	static const struct {
		size_t read_min, write_min;
		uint32_t left, right;
		size_t left_at, right_at, area;
	} rows[] = {
	        {4096, 4096, 12, 12, 4096, 8192, 12288},
	        {65536, 65536, 16, 16, 4096, 4096 + 65536, 4096 + 131072},
	        {128, 8192, 11, 13, 2048, 4096, 12288},
	        {1024, 1024, 10, 11, 1024, 2048, 4096},
	        {1024, 2048, 10, 11, 1024, 2048, 4096},
	        {2048, 1024, 11, 10, 2048, 1024, 4096},
	        {1025, 1024, 11, 10, 2048, 1024, 4096},
	        {2048, 2049, 11, 12, 2048, 4096, 8192},
	        {2048, 2048, 11, 12, 2048, 4096, 8192},
	        {2049, 2048, 12, 11, 4096, 2048, 8192},
	        {4097, 1, 13, 11, 4096, 2048, 12288},
	        {1 << 20, 1 << 20, 20, 20, 4096, 4096 + (1 << 20), 4096 + (2 << 20)},
	};
	uint32_t left, right;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		        ring_choose_orders(rows[i].read_min, rows[i].write_min, &left, &right), 0);
		assert_int_equal(left, rows[i].left);
		assert_int_equal(right, rows[i].right);
		assert_true(ring_orders_valid(left, right));
		assert_int_equal(ring_left_offset(left), rows[i].left_at);
		assert_int_equal(ring_right_offset(left, right), rows[i].right_at);
		assert_int_equal(ring_area(left, right), rows[i].area);
	}
	assert_int_equal(ring_choose_orders(1048577, 1, &left, &right), -1);
	assert_int_equal(ring_choose_orders(1, 1048577, &left, &right), -1);
}

static void test_24_events(void **state)
{
	char buf[10];

	start(4096, 4096);
	assert_int_equal(ring_write(&p.client.ring, "hello", 5), 5);
	assert_int_equal(le32_get(p.memory + 4), 5);
	assert_int_equal(p.memory[22], 0);
	assert_int_equal(p.client.events, 1);
	assert_int_equal(ring_write(&p.client.ring, "world", 5), 5);
	assert_int_equal(le32_get(p.memory + 4), 10);
	assert_int_equal(p.client.events, 1);
	assert_int_equal(ring_readable(&p.server.ring, 4096), 10);
	assert_int_equal(p.memory[22], 1);
	assert_int_equal(ring_read(&p.server.ring, buf, 10), 10);
	assert_memory_equal(buf, "helloworld", 10);
	assert_int_equal(le32_get(p.memory + 0), 10);
	assert_int_equal(p.server.events, 0);
}

static void test_24_room_event(void **state)
{
	static char data[4096];

	start(4096, 4096);
	assert_int_equal(ring_write(&p.server.ring, data, 4096), 4096);
	assert_int_equal(ring_write(&p.server.ring, data, 1), 0);
	assert_int_equal(p.memory[22] & RING_NOTIFY_READ, RING_NOTIFY_READ);
	assert_int_equal(ring_read(&p.client.ring, data, 1), 1);
	assert_int_equal(p.client.events, 1);
	assert_int_equal(p.memory[22] & RING_NOTIFY_READ, 0);
}

/* A patient reader tells of room once half of the ring is free, and surely when all was read. */
static void test_patient(void **state)
{
	static char data[4096];

	start(4096, 4096);
	p.client.ring.patient = true;
	for (int i = 0; i < 2; i++) {
		unsigned int events = p.client.events;

		assert_int_equal(ring_write(&p.server.ring, data, 4096), 4096);
		assert_int_equal(ring_write(&p.server.ring, data, 1), 0);
		assert_int_equal(ring_read(&p.client.ring, data, 2047), 2047);
		assert_int_equal(p.client.events, events);
		assert_int_equal(ring_read(&p.client.ring, data, i ? 1 : 2049), i ? 1 : 2049);
		assert_int_equal(p.client.events, events + 1);
		assert_int_equal(ring_writable(&p.server.ring, 1), i ? 2048 : 4096);
	}
}

static void test_25_indices_wrap(void **state)
{
	char buf[16];

	start_at(0xFFFFFFFE);
	assert_int_equal(ring_write(&p.client.ring, "0123456789", 10), 10);
	assert_int_equal(le32_get(p.memory + 4), 8);
	assert_int_equal(ring_read(&p.server.ring, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, "0123456789", 10);
	assert_int_equal(le32_get(p.memory + 0), 8);
}

static void test_26_message_larger_than_ring(void **state)
{
	static char big[4097];
	const struct iovec parts[2] = {{big, 8}, {big, 4089}};
	const struct iovec fits[2] = {{big, 8}, {big, 4088}};

	start(4096, 4096);
	assert_int_equal(ring_write_whole(&p.client.ring, parts), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(ring_write_whole(&p.client.ring, fits), 0);
	assert_int_equal(ring_write_whole(&p.client.ring, fits), 1);
	assert_int_equal(le32_get(p.memory + 4), 4096);
}

static void test_27_index_out_of_range(void **state)
{
	char buf[4];

	start(4096, 4096);
	le32_put(p.memory + 4, 4097);
	assert_int_equal(ring_readable(&p.server.ring, 1), 0);
	assert_non_null(p.server.ring.broken);
	assert_int_equal(ring_update(&p.server.ring), RING_CLOSED);
	assert_int_equal(ring_read(&p.server.ring, buf, 4), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(ring_write(&p.server.ring, buf, 4), -1);
	/* It stays so when the index is made good again. */
	le32_put(p.memory + 4, 4);
	assert_int_equal(ring_read(&p.server.ring, buf, 4), -1);
	/* The reader's index beyond what was written. */
	start(4096, 4096);
	le32_put(p.memory + 8, 1);
	assert_int_equal(ring_write(&p.server.ring, buf, 4), -1);
	assert_non_null(p.server.ring.broken);
}

static void test_27_index_goes_back(void **state)
{
	char buf[8];

	start(4096, 4096);
	assert_int_equal(ring_write(&p.client.ring, "12345678", 8), 8);
	assert_int_equal(ring_readable(&p.server.ring, 1), 8);
	le32_put(p.memory + 4, 7);
	assert_int_equal(ring_read(&p.server.ring, buf, 8), -1);
	assert_non_null(p.server.ring.broken);
	start(4096, 4096);
	assert_int_equal(ring_write(&p.server.ring, "12345678", 8), 8);
	assert_int_equal(ring_read(&p.client.ring, buf, 4), 4);
	assert_int_equal(ring_writable(&p.server.ring, 1), 4092);
	le32_put(p.memory + 8, 3);
	assert_int_equal(ring_writable(&p.server.ring, 1), 0);
	assert_non_null(p.server.ring.broken);
}

static void test_28_order_overwritten(void **state)
{
	char buf[8];

	start(4096, 4096);
	p.memory[16] = 20;
	p.memory[18] = 3;
	assert_int_equal(ring_writable(&p.server.ring, 1), 4096);
	assert_int_equal(ring_write(&p.client.ring, "12345678", 8), 8);
	assert_int_equal(ring_read(&p.server.ring, buf, 8), 8);
	assert_memory_equal(buf, "12345678", 8);
}

static void test_29_30_orders_refused(void **state)
{
	static const struct {
		uint32_t left, right;
		bool good;
	} rows[] = {
	        {9, 12, false},  {12, 9, false},  {21, 12, false}, {12, 21, false}, {10, 10, false},
	        {11, 11, false}, {20, 10, false}, {10, 20, false}, {12, 12, true},  {10, 11, true},
	        {20, 11, true},  {11, 20, true},  {19, 10, true},  {20, 20, true},  {0, 0, false},
	};
	struct ring_page *page = (struct ring_page *)p.memory;
	uint32_t left, right;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		le16_put(p.memory + 16, (uint16_t)rows[i].left);
		le16_put(p.memory + 18, (uint16_t)rows[i].right);
		assert_int_equal(ring_load_orders(page, &left, &right), rows[i].good ? 0 : -1);
	}
}

static void test_31_closed_with_bytes_unread(void **state)
{
	char buf[8];

	start(4096, 4096);
	assert_int_equal(ring_write(&p.client.ring, "bye", 3), 3);
	p.memory[20] = 0;
	assert_int_equal(ring_update(&p.server.ring), RING_CLOSED);
	assert_int_equal(ring_read(&p.server.ring, buf, 8), 3);
	assert_int_equal(ring_read(&p.server.ring, buf, 8), -1);
	assert_int_equal(ring_write(&p.server.ring, buf, 8), -1);
	assert_null(p.server.ring.broken);
}

static void test_32_live_byte(void **state)
{
	static const uint8_t values[] = {77, 2, 3, 255, 0};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		start(4096, 4096);
		p.memory[20] = values[i];
		assert_int_equal(ring_update(&p.server.ring), RING_CLOSED);
		p.memory[20] = 1;
		assert_int_equal(ring_update(&p.server.ring), RING_CLOSED);
		start(4096, 4096);
		p.memory[21] = values[i];
		assert_int_equal(ring_update(&p.client.ring), RING_CLOSED);
		p.memory[21] = 1;
		assert_int_equal(ring_update(&p.client.ring), RING_CLOSED);
	}
}

static void test_33_own_index_overwritten(void **state)
{
	char buf[8];

	start(4096, 4096);
	assert_int_equal(ring_write(&p.client.ring, "1234", 4), 4);
	le32_put(p.memory + 4, 0xDEAD);
	assert_int_equal(ring_write(&p.client.ring, "5678", 4), 4);
	assert_int_equal(le32_get(p.memory + 4), 8);
	assert_int_equal(ring_read(&p.server.ring, buf, 3), 3);
	le32_put(p.memory + 0, 0xDEAD);
	assert_int_equal(ring_read(&p.server.ring, buf + 3, 5), 5);
	assert_int_equal(le32_get(p.memory + 0), 8);
	assert_memory_equal(buf, "12345678", 8);
}

static void test_in_page_rings(void **state)
{
	static char sent[1024], got[1024];

	memset(sent, 'x', sizeof(sent));
	start(1024, 1024);
	assert_int_equal(ring_write(&p.client.ring, sent, 1024), 1024);
	assert_memory_equal(p.memory + 1024, sent, 1024);
	assert_int_equal(ring_read(&p.server.ring, got, 1024), 1024);
	assert_memory_equal(got, sent, 1024);
	assert_int_equal(ring_write(&p.server.ring, sent, 1024), 1024);
	assert_memory_equal(p.memory + 2048, sent, 1024);
	ring_close(&p.server.ring);
	assert_int_equal(p.memory[21], 0);
	assert_int_equal(ring_writable(&p.server.ring, 1), 0);
	assert_int_equal(ring_read(&p.client.ring, got, 1024), 1024);
	assert_int_equal(ring_read(&p.client.ring, got, 1024), -1);
}

#define CASE(number, name, fn)                                                                     \
	{                                                                                          \
		"vchan-" number " " name, fn, NULL, NULL, NULL                                     \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CASE("hello", "hello goes with the first event",
	             test_hello_goes_with_the_first_event),
	        CASE("22", "control page of a new server", test_22_control_page),
	        CASE("23", "choice of orders", test_23_orders),
	        CASE("24", "events for what was written", test_24_events),
	        CASE("24", "events for room", test_24_room_event),
	        CASE("ring", "a patient reader", test_patient),
	        CASE("25", "indices wrap", test_25_indices_wrap),
	        CASE("26", "message larger than the ring", test_26_message_larger_than_ring),
	        CASE("27", "index out of range", test_27_index_out_of_range),
	        {"qsb-010 index out of range", test_27_index_out_of_range, NULL, NULL, NULL},
	        {"qsb-010 index goes back", test_27_index_goes_back, NULL, NULL, NULL},
	        CASE("27", "index goes back", test_27_index_goes_back),
	        CASE("28", "order overwritten", test_28_order_overwritten),
	        CASE("29", "orders refused, 30 too", test_29_30_orders_refused),
	        CASE("31", "closed with bytes unread", test_31_closed_with_bytes_unread),
	        CASE("32", "live byte", test_32_live_byte),
	        CASE("33", "own index overwritten", test_33_own_index_overwritten),
	        CASE("ring", "rings inside the control page", test_in_page_rings),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
