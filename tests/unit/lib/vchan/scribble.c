/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a qube that rewrites a vchan's page does more than end its own channel. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compat.h"
#include "lib/vchan/ring.h"

/*
 * Two sides move bytes through one pair of rings, in two threads. Without a third one every byte
 * must arrive in order, and ThreadSanitizer must find that the indices alone order all accesses.
 * With a third one that rewrites the page at random, only a closed channel or wrong bytes may come
 * of it: all memory around is checked, and results stay within their bounds.
 *
 * No cmocka here: this is also built with ThreadSanitizer.
 */

#define ORDER        10U
#define HONEST_BYTES (2U << 20)
#define ROUNDS       100
#define GUARD        0x5A

struct arena {
	_Alignas(4096) uint8_t page[4096];
	uint8_t guard[4096];
};

static struct arena arena;
static atomic_uint stop;
static atomic_uint failures;

static void fail(const char *what)
{
	if (atomic_fetch_add(&failures, 1) == 0)
		printf("# %s\n", what);
}

static void no_event(void *arg)
{
}

static void start_side(struct ring_pair *ring, bool is_server)
{
	ring_attach(ring, &(struct ring_setup){.page = arena.page,
	                                       .left = arena.page + 1024,
	                                       .right = arena.page + 2048,
	                                       .left_order = ORDER,
	                                       .right_order = ORDER + 1,
	                                       .is_server = is_server,
	                                       .notify = no_event});
}

static void start_page(void)
{
	memset(&arena, 0, sizeof(arena));
	memset(arena.guard, GUARD, sizeof(arena.guard));
	ring_format((struct ring_page *)arena.page, ORDER, ORDER + 1, NULL, 0);
	atomic_store(&((struct ring_page *)arena.page)->cli_live, RING_LIVE_HERE);
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void *honest_writer(void *arg)
{
	struct ring_pair ring;
	uint8_t buf[300];
	uint32_t sent = 0;
	uint32_t seed = 1;

	start_side(&ring, false);
	while (sent < HONEST_BYTES) {
		size_t len = 1 + random_next(&seed) % sizeof(buf);
		ssize_t r;

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)((sent + i) * 31 >> 3);
		r = ring_write(&ring, buf, len);
		if (r < 0) {
			fail("honest writer was cut off");
			break;
		}
		sent += (uint32_t)r;
	}
	ring_close(&ring);
	return NULL;
}

static void *honest_reader(void *arg)
{
	struct ring_pair ring;
	uint8_t buf[700];
	uint32_t got = 0;
	ssize_t r;

	start_side(&ring, true);
	while ((r = ring_read(&ring, buf, sizeof(buf))) >= 0) {
		for (ssize_t i = 0; i < r; i++, got++) {
			if (buf[i] != (uint8_t)(got * 31 >> 3))
				fail("a byte is wrong or out of order");
		}
	}
	/* The writer sends at least so much, and whole pieces. */
	if (got < HONEST_BYTES || ring.broken)
		fail("bytes before the end were lost");
	return NULL;
}

static void one_operation(struct ring_pair *ring, uint32_t *seed)
{
	uint8_t buf[2048 + 16];
	struct iovec parts[2] = {{buf, 8}, {buf, 1 + random_next(seed) % 1000}};
	struct iovec spans[2];
	size_t len = random_next(seed) % 2049;
	ssize_t r = 0;

	memset(buf, GUARD, sizeof(buf));
	switch (random_next(seed) % 6) {
	case 0:
		r = ring_read(ring, buf, len);
		break;
	case 1:
		r = ring_write(ring, buf, len);
		break;
	case 2:
		if (ring_write_whole(ring, parts) > 1)
			fail("an unknown result");
		break;
	case 3:
		r = (ssize_t)ring_readable(ring, len);
		len = ring->rx.size;
		break;
	case 4:
		r = (ssize_t)ring_writable(ring, len);
		len = ring->tx.size;
		break;
	default:
		r = ring_rx_spans(ring, len, spans);
		if (r >= 0 && spans[0].iov_len + spans[1].iov_len != (size_t)r)
			fail("spans are not what was promised");
		break;
	}
	if (r > (ssize_t)len)
		fail("more than was asked for");
	for (size_t i = len; i < sizeof(buf); i++) {
		if (buf[i] != GUARD)
			fail("written beyond the buffer");
	}
}

static void *victim(void *arg)
{
	bool is_server = arg != NULL;
	uint32_t seed = is_server ? 77 : 99;
	struct ring_pair ring;

	start_side(&ring, is_server);
	while (!atomic_load(&stop)) {
		one_operation(&ring, &seed);
		if (ring.state == RING_CLOSED && ring_update(&ring) != RING_CLOSED)
			fail("a closed channel came back");
		/* Each end of a channel is followed by a new one, on the same hostile page. */
		if (ring.state == RING_CLOSED)
			start_side(&ring, is_server);
	}
	return NULL;
}

static void *scribbler(void *arg)
{
	struct ring_page *page = (struct ring_page *)arena.page;
	_Atomic uint32_t *words[] = {&page->left_cons, &page->left_prod, &page->right_cons,
	                             &page->right_prod};
	_Atomic uint8_t *bytes[] = {&page->cli_live, &page->srv_live, &page->cli_notify,
	                            &page->srv_notify};
	uint32_t seed = *(uint32_t *)arg;

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t kind = random_next(&seed) % 8;
		uint32_t value = random_next(&seed);

		if (kind < 3)
			atomic_store(words[value % 4], value >> 8);
		else if (kind < 5)
			atomic_fetch_add(words[value % 4], value >> 24);
		else if (kind < 6)
			atomic_store(bytes[value % 4], (uint8_t)(value >> 8));
		else if (kind < 7)
			atomic_store(bytes[value % 2], RING_LIVE_HERE);
		else
			atomic_store(&page->left_order, (uint16_t)(value >> 8));
	}
	return NULL;
}

static void run_honest(void)
{
	pthread_t reader, writer;

	start_page();
	if (pthread_create(&reader, NULL, honest_reader, NULL) ||
	    pthread_create(&writer, NULL, honest_writer, NULL))
		abort();
	(void)pthread_join(writer, NULL);
	(void)pthread_join(reader, NULL);
}

static void run_scribbled(uint32_t seed)
{
	pthread_t threads[3];

	start_page();
	atomic_store(&stop, 0);
	if (pthread_create(&threads[0], NULL, victim, NULL) ||
	    pthread_create(&threads[1], NULL, victim, &arena) ||
	    pthread_create(&threads[2], NULL, scribbler, &seed))
		abort();
	(void)pthread_join(threads[2], NULL);
	atomic_store(&stop, 1);
	(void)pthread_join(threads[0], NULL);
	(void)pthread_join(threads[1], NULL);
	for (size_t i = 0; i < sizeof(arena.guard); i++) {
		if (arena.guard[i] != GUARD)
			fail("written beyond the page");
	}
}

static int report(const char *name, int number)
{
	unsigned int n = atomic_exchange(&failures, 0);

	printf("%s %d - %s\n", n ? "not ok" : "ok", number, name);
	return n ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool honest = argc < 2 || strcmp(argv[1], "scribbled") != 0;
	bool hostile = argc < 2 || strcmp(argv[1], "honest") != 0;
	int failed = 0, n = 0;

	if (honest) {
		run_honest();
		failed += report("vchan-scribble two honest sides", ++n);
	}
	if (hostile) {
		for (uint32_t i = 1; i <= ROUNDS; i++)
			run_scribbled(i * 2654435761U);
		failed += report("vchan-scribble a third rewrites the page", ++n);
	}
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}
