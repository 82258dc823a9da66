/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a qube with a stock libxenvchan hangs on a channel with us, or is woken for nothing. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>

#include "lib/vchan/ring.h"
#include "tests/unit/lib/vchan/stock.h"

/*
 * Our rings against the algorithm of libxenvchan (stock.c), in both roles. First step by step: in
 * four worlds, each side ours or stock, the same operations must leave the same page, byte for byte,
 * and send the same events. Then in two threads that sleep until they are told: if both sleep, with
 * no event on its way and bytes to move, a wake-up was lost; that is seen at once, not by a clock.
 */

#define RING_MAX 8192U

struct side {
	bool ours;
	struct ring_pair ring;
	struct stock stock;
	unsigned long events; /* sent */
};

struct world {
	_Alignas(4096) uint8_t memory[4096 + 2 * RING_MAX];
	struct side side[2]; /* server, client */
};

static void count_event(void *arg)
{
	((struct side *)arg)->events++;
}

static void attach(struct world *w, int which, uint32_t left, uint32_t right,
                   void (*notify)(void *))
{
	struct side *side = &w->side[which];

	side->stock = (struct stock){.page = w->memory,
	                             .left = w->memory + stock_place(left, right, true),
	                             .right = w->memory + stock_place(left, right, false),
	                             .left_order = left,
	                             .right_order = right,
	                             .server = which == 0,
	                             .notify = notify,
	                             .notify_arg = side};
	ring_attach(&side->ring,
	            &(struct ring_setup){.page = w->memory,
	                                 .left = w->memory + ring_left_offset(left),
	                                 .right = w->memory + ring_right_offset(left, right),
	                                 .left_order = left,
	                                 .right_order = right,
	                                 .is_server = which == 0,
	                                 .notify = notify,
	                                 .notify_arg = side});
}

/* All four indices begin at @index, so that they can be near the end of their range. */
static void start(struct world *w, uint32_t left, uint32_t right, uint32_t index,
                  void (*notify)(void *))
{
	memset(w->memory, 0, sizeof(w->memory));
	if (w->side[0].ours)
		ring_format((struct ring_page *)w->memory, left, right, NULL, 0);
	else
		stock_format(w->memory, left, right);
	for (size_t i = 0; i < 4; i++)
		memcpy(w->memory + 4 * i, &index, 4);
	for (int i = 0; i < 2; i++) {
		struct ring_pair *ring = &w->side[i].ring;

		w->side[i].events = 0;
		attach(w, i, left, right, notify);
		ring->tx.own = ring->tx.peer = ring->rx.own = ring->rx.peer = index;
	}
	if (w->side[1].ours)
		ring_hello(&w->side[1].ring);
	else
		stock_hello(&w->side[1].stock);
}

#define N_OPS 6U
enum op { WRITE, READ, SEND, RECV, READY, SPACE };

static long operate_ours(struct ring_pair *ring, enum op op, uint8_t *buf, size_t len)
{
	const struct iovec parts[2] = {{buf, len / 3}, {buf + len / 3, len - len / 3}};

	switch (op) {
	case WRITE:
		return ring_write(ring, buf, len);
	case READ:
		return ring_read(ring, buf, len);
	case SEND:
		return ring_write_whole(ring, parts) == 0 ? (long)len : 0;
	case RECV:
		return ring_readable(ring, len) < len ? 0 : ring_read(ring, buf, len);
	case READY:
		return (long)ring_readable(ring, SIZE_MAX);
	case SPACE:
		return (long)ring_writable(ring, SIZE_MAX);
	}
	return -1;
}

static long operate_stock(struct stock *s, enum op op, uint8_t *buf, size_t len)
{
	switch (op) {
	case WRITE:
		return (long)stock_write(s, buf, len);
	case READ:
		return (long)stock_read(s, buf, len);
	case SEND:
		return (long)stock_send(s, buf, len);
	case RECV:
		return (long)stock_recv(s, buf, len);
	case READY:
		return (long)stock_data_ready(s);
	case SPACE:
		return (long)stock_buffer_space(s);
	}
	return -1;
}

static long operate(struct side *side, enum op op, uint8_t *buf, size_t len)
{
	return side->ours ? operate_ours(&side->ring, op, buf, len)
	                  : operate_stock(&side->stock, op, buf, len);
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void compare(const struct world *a, const struct world *b)
{
	assert_memory_equal(a->memory, b->memory, sizeof(a->memory));
	assert_int_equal(a->side[0].events, b->side[0].events);
	assert_int_equal(a->side[1].events, b->side[1].events);
}

static void same_in_all_worlds(uint32_t left, uint32_t right, uint32_t index, uint32_t seed)
{
	static struct world worlds[4];
	static uint8_t buf[4][RING_MAX];

	for (int w = 0; w < 4; w++) {
		worlds[w].side[0].ours = w & 1;
		worlds[w].side[1].ours = w & 2;
		start(&worlds[w], left, right, index, count_event);
		compare(&worlds[w], &worlds[0]);
	}
	for (int step = 0; step < 5000; step++) {
		uint32_t kind = random_next(&seed);
		uint32_t which = kind >> 8 & 1;
		enum op op = (enum op)((kind >> 16) % N_OPS);
		bool tx = op == WRITE || op == SEND;
		uint32_t size = 1U << (tx != (which == 0) ? left : right);
		size_t len = 1 + random_next(&seed) % (kind & 4 ? size : 16);
		long r[4];

		for (int w = 0; w < 4; w++) {
			memset(buf[w], step, len);
			r[w] = operate(&worlds[w].side[which], op, buf[w], len);
			assert_int_equal(r[w], r[0]);
			assert_memory_equal(buf[w], buf[0], len);
			compare(&worlds[w], &worlds[0]);
		}
	}
}

static void test_same_pages(void **state)
{
	static const struct {
		uint32_t left, right, index;
	} rows[] = {{10, 11, 0}, {11, 10, 0xFFFF0000}, {12, 12, 0xFFFFFFFE}, {11, 13, 0x7FFFFFFF}};

	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		same_in_all_worlds(rows[i].left, rows[i].right, rows[i].index, 2463534242U + i);
}

/* Case 24, with a stock peer on the one or the other side. */
static void first_bytes(bool server_is_ours, bool client_is_ours)
{
	static struct world w;
	uint8_t buf[10];

	w.side[0].ours = server_is_ours;
	w.side[1].ours = client_is_ours;
	start(&w, 12, 12, 0, count_event);
	assert_int_equal(w.memory[22], 1);
	assert_int_equal(w.memory[23], 1);
	w.side[1].events = 0;
	memcpy(buf, "hello", 5);
	assert_int_equal(operate(&w.side[1], WRITE, buf, 5), 5);
	assert_int_equal(w.memory[4], 5);
	assert_int_equal(w.memory[22], 0);
	assert_int_equal(w.side[1].events, 1);
	assert_int_equal(operate(&w.side[1], WRITE, buf, 5), 5);
	assert_int_equal(w.memory[4], 10);
	assert_int_equal(w.side[1].events, 1);
	assert_int_equal(operate(&w.side[0], READY, buf, 0), 10);
	assert_int_equal(w.memory[22], 1);
	assert_int_equal(operate(&w.side[0], READ, buf, 10), 10);
	assert_memory_equal(buf, "hellohello", 10);
	assert_int_equal(w.memory[0], 10);
	assert_int_equal(w.side[0].events, 0);
}

static void test_24(void **state)
{
	first_bytes(true, false);
	first_bytes(false, true);
}

/* Case 25, the same way. */
static void around_the_end(bool server_is_ours, bool client_is_ours)
{
	static struct world w;
	uint8_t buf[16];
	uint32_t index;

	w.side[0].ours = server_is_ours;
	w.side[1].ours = client_is_ours;
	start(&w, 12, 12, 0xFFFFFFFE, count_event);
	memcpy(buf, "0123456789", 10);
	assert_int_equal(operate(&w.side[1], WRITE, buf, 10), 10);
	memcpy(&index, w.memory + 4, 4);
	assert_int_equal(index, 8);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(operate(&w.side[0], READ, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, "0123456789", 10);
	memcpy(&index, w.memory, 4);
	assert_int_equal(index, 8);
}

static void test_25(void **state)
{
	around_the_end(true, false);
	around_the_end(false, true);
}

/* Two threads that sleep. */
#define STREAM (4U << 20) /* bytes each way */

static struct world shared;
static struct sleeper {
	pthread_cond_t wake;
	bool event, asleep, done;
	uint32_t sent, got;
	bool wrong;
} sleepers[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool lost;

static void wake_other(void *arg)
{
	struct side *side = arg;
	struct sleeper *other = &sleepers[side == &shared.side[0] ? 1 : 0];

	(void)pthread_mutex_lock(&lock);
	side->events++;
	other->event = true;
	(void)pthread_cond_signal(&other->wake);
	(void)pthread_mutex_unlock(&lock);
}

/* Until there is an event; false if there never will be one. */
static bool sleep_until_event(int which)
{
	struct sleeper *own = &sleepers[which], *other = &sleepers[1 - which];
	bool good;

	(void)pthread_mutex_lock(&lock);
	own->asleep = true;
	if (!own->event && !other->event && (other->asleep || other->done)) {
		lost = true;
		(void)pthread_cond_signal(&other->wake);
	}
	while (!own->event && !lost)
		(void)pthread_cond_wait(&own->wake, &lock);
	own->asleep = false;
	own->event = false;
	good = !lost;
	(void)pthread_mutex_unlock(&lock);
	return good;
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 31 >> 3);
}

static bool move_some(int which, uint32_t *seed)
{
	struct side *side = &shared.side[which];
	struct sleeper *own = &sleepers[which];
	uint8_t buf[1500];
	uint32_t len = 1 + random_next(seed) % sizeof(buf);
	long n = 0, r = 0;

	if (own->sent < STREAM) {
		len = MIN(len, STREAM - own->sent);
		for (uint32_t i = 0; i < len; i++)
			buf[i] = byte_at(own->sent + i);
		n = operate(side, WRITE, buf, len);
		own->sent += (uint32_t)n;
	}
	if (own->got < STREAM) {
		r = operate(side, READ, buf, 1 + random_next(seed) % sizeof(buf));
		for (long i = 0; i < r; i++)
			own->wrong |= buf[i] != byte_at(own->got + (uint32_t)i);
		own->got += (uint32_t)r;
	}
	return n > 0 || r > 0;
}

static void *both_ways(void *arg)
{
	int which = arg ? 1 : 0;
	struct sleeper *own = &sleepers[which];
	uint32_t seed = 88172645U + (uint32_t)which;

	while (own->sent < STREAM || own->got < STREAM) {
		if (!move_some(which, &seed) && !sleep_until_event(which))
			break;
	}
	(void)pthread_mutex_lock(&lock);
	own->done = true;
	if (sleepers[1 - which].asleep && !sleepers[1 - which].event) {
		lost = true;
		(void)pthread_cond_signal(&sleepers[1 - which].wake);
	}
	(void)pthread_mutex_unlock(&lock);
	return NULL;
}

static void no_wake_up_is_lost(bool server_is_ours, bool client_is_ours)
{
	pthread_t threads[2];
	int ours = server_is_ours ? 0 : 1;

	memset(sleepers, 0, sizeof(sleepers));
	shared.side[0].ours = server_is_ours;
	shared.side[1].ours = client_is_ours;
	start(&shared, 10, 11, 0xFFFFFF00, wake_other);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, both_ways, i ? &shared : NULL),
		                 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(lost);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sleepers[i].got, STREAM);
		assert_false(sleepers[i].wrong);
	}
	/* No event that was not asked for: the first request of a server is made by the format, and
	 * a client's hello is an event of its own. */
	assert_true(shared.side[ours].events <= shared.side[1 - ours].stock.requests + 1);
	print_message("# %lu events from us for %lu requests, %lu from the stock peer\n",
	              shared.side[ours].events, shared.side[1 - ours].stock.requests,
	              shared.side[1 - ours].events);
}

static void test_stock_client(void **state)
{
	no_wake_up_is_lost(true, false);
}

static void test_stock_server(void **state)
{
	no_wake_up_is_lost(false, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        {"vchan-24 with a stock peer, both roles", test_24, NULL, NULL, NULL},
	        {"vchan-25 with a stock peer, both roles", test_25, NULL, NULL, NULL},
	        {"vchan-interop same page and events as stock", test_same_pages, NULL, NULL, NULL},
	        {"vchan-interop no lost wake-up, stock client", test_stock_client, NULL, NULL,
	         NULL},
	        {"vchan-interop no lost wake-up, stock server", test_stock_server, NULL, NULL,
	         NULL},
	};

	return cmocka_run_group_tests_name("interop", tests, NULL, NULL);
}
