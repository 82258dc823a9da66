/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, an unmodified Qubes program loses data, hangs, or does not start over a vchan. */
#include "tests/unit/lib/vchan/cases.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

void test_01_read_after_connect(void **state)
{
	libvchan_t *s = server(1024);
	char buf[15];
	int raw;

	assert_int_equal(libvchan_is_open(s), VCHAN_WAITING);
	raw = raw_connect();
	raw_send(raw, "Hello World", 11);
	assert_int_equal(libvchan_read(s, buf, sizeof(buf)), 11);
	assert_memory_equal(buf, "Hello World", 11);
	libvchan_close(s);
	(void)close(raw);
}

static void *read_eleven(void *arg)
{
	static char buf[11];

	return libvchan_read(arg, buf, 11) == 11 ? buf : NULL;
}

void test_02_read_waits(void **state)
{
	libvchan_t *s = server(1024);
	void *got = NULL;
	pthread_t reader;
	int raw;

	assert_int_equal(pthread_create(&reader, NULL, read_eleven, s), 0);
	(void)poll(NULL, 0, 100);
	raw = raw_connect();
	raw_send(raw, "Hello World", 11);
	assert_int_equal(pthread_join(reader, &got), 0);
	assert_non_null(got);
	assert_memory_equal(got, "Hello World", 11);
	libvchan_close(s);
	(void)close(raw);
}

void test_03_write(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();

	assert_int_equal(libvchan_write(s, "Hello World", 11), 11);
	raw_expect(raw, "Hello World", 11);
	libvchan_close(s);
	(void)close(raw);
}

void test_04_write_before_connect(void **state)
{
	libvchan_t *s = server(1024);
	int raw;

	assert_int_equal(libvchan_write(s, "Hello World", 11), 11);
	raw = raw_connect();
	/* No call on s: what was written arrives all the same. */
	raw_expect(raw, "Hello World", 11);
	libvchan_close(s);
	(void)close(raw);
}

void test_05_data_ready(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	char buf[11];

	wait_until_open(s);
	assert_int_equal(libvchan_data_ready(s), 0);
	raw_send(raw, "Hello World", 11);
	wait_for_data(s, 11);
	assert_int_equal(libvchan_data_ready(s), 11);
	assert_int_equal(libvchan_read(s, buf, 11), 11);
	assert_int_equal(libvchan_data_ready(s), 0);
	libvchan_close(s);
	(void)close(raw);
}

void test_06_buffer_space(void **state)
{
	libvchan_t *s = server(1024);
	int raw;

	assert_int_equal(libvchan_buffer_space(s), 4096);
	assert_int_equal(libvchan_write(s, "Hello World", 11), 11);
	assert_int_equal(libvchan_buffer_space(s), 4085);
	raw = raw_connect();
	raw_expect(raw, "Hello World", 11);
	assert_int_equal(libvchan_buffer_space(s), 4096);
	libvchan_close(s);
	(void)close(raw);
}

void test_07_short_read(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	char buf[22];

	raw_send(raw, "Hello World", 11);
	assert_int_equal(libvchan_read(s, buf, 22), 11);
	libvchan_close(s);
	(void)close(raw);
}

static void *recv_twenty_two(void *arg)
{
	static char buf[22];

	return libvchan_recv(arg, buf, 22) == 22 ? buf : NULL;
}

void test_08_recv_waits_for_all(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	void *got = NULL;
	pthread_t reader;

	raw_send(raw, "Hello World", 11);
	assert_int_equal(pthread_create(&reader, NULL, recv_twenty_two, s), 0);
	(void)poll(NULL, 0, 50);
	raw_send(raw, "dlroW olleH", 11);
	assert_int_equal(pthread_join(reader, &got), 0);
	assert_non_null(got);
	assert_memory_equal(got, "Hello WorlddlroW olleH", 22);
	libvchan_close(s);
	(void)close(raw);
}

static void *send_one_by_one(void *arg)
{
	for (int i = 0; i < 4096; i++)
		raw_send(*(int *)arg, i % 2 ? "b" : "a", 1);
	return NULL;
}

/* The kernel holds only some hundred of them at once. */
void test_08_recv_of_single_bytes(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	pthread_t sender;
	char buf[4096];

	wait_until_open(s);
	assert_int_equal(pthread_create(&sender, NULL, send_one_by_one, &raw), 0);
	assert_int_equal(libvchan_recv(s, buf, 4000), 4000);
	assert_memory_equal(buf + 3996, "abab", 4);
	/*
	 * Read as they come: a writer that waits for room is woken when a quarter of it is in use, and 95
	 * buffers of one byte, left where they are, may be more than that.
	 */
	for (int got = 0, n; got < 96; got += n) {
		n = libvchan_read(s, buf, sizeof(buf));
		assert_true(n > 0);
	}
	assert_int_equal(pthread_join(sender, NULL), 0);
	raw_send(raw, "rest", 4);
	wait_for_data(s, 4);
	(void)close(raw);
	/* Too few before the end: an error, and they can still be read. */
	assert_int_equal(libvchan_recv(s, buf, 8), -1);
	assert_int_equal(libvchan_data_ready(s), 4);
	assert_int_equal(libvchan_read(s, buf, 8), 4);
	assert_int_equal(libvchan_read(s, buf, 8), -1);
	libvchan_close(s);
}

void test_09_more_than_a_ring(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	char sent[4106], got[4106];

	fill_pattern(sent, sizeof(sent));
	raw_send(raw, sent, sizeof(sent));
	assert_int_equal(libvchan_read(s, got, sizeof(got)), 4096);
	assert_int_equal(libvchan_read(s, got + 4096, 10), 10);
	assert_memory_equal(got, sent, sizeof(sent));
	libvchan_close(s);
	(void)close(raw);
}

void test_10_around_the_end(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	char sent[4096], got[4096];

	fill_pattern(sent, sizeof(sent));
	raw_send(raw, sent, 1365);
	assert_int_equal(libvchan_read(s, got, 1365), 1365);
	raw_send(raw, sent, sizeof(sent));
	assert_int_equal(libvchan_read(s, got, sizeof(got)), 4096);
	assert_memory_equal(got, sent, sizeof(sent));
	libvchan_close(s);
	(void)close(raw);
}

void test_12_wait_for_client(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();

	assert_int_equal(libvchan_wait(s), 0);
	wait_until_open(s);
	libvchan_close(s);
	(void)close(raw);
}

void test_13_peer_closes(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();
	char buf[4];

	wait_until_open(s);
	(void)close(raw);
	while (libvchan_is_open(s) == VCHAN_CONNECTED)
		assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
	assert_int_equal(libvchan_read(s, buf, 4), -1);
	assert_int_equal(libvchan_recv(s, buf, 4), -1);
	assert_int_equal(libvchan_write(s, buf, 4), -1);
	assert_int_equal(libvchan_send(s, buf, 4), -1);
	libvchan_close(s);
}

void test_15_second_client(void **state)
{
	libvchan_t *s = server(1024);
	int first = raw_connect();
	int second = raw_try_connect();
	char byte;

	wait_until_open(s);
	raw_send(first, "one", 3);
	wait_for_data(s, 3);
	if (second >= 0) {
		assert_true(recv(second, &byte, 1, 0) <= 0);
		(void)close(second);
	}
	assert_int_equal(libvchan_write(s, "two", 3), 3);
	raw_expect(first, "two", 3);
	libvchan_close(s);
	(void)close(first);
}

void test_16_no_second_life(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();

	wait_until_open(s);
	(void)close(raw);
	assert_int_equal(raw_try_connect(), -1);
	while (libvchan_is_open(s) == VCHAN_CONNECTED)
		assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(raw_try_connect(), -1);
	assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
	libvchan_close(s);
}

static void *send_and_close(void *arg)
{
	int raw = *(int *)arg;

	(void)send(raw, "0123456789abcdef", 16, MSG_NOSIGNAL);
	(void)close(raw);
	return NULL;
}

void test_19_last_words(void **state)
{
	static char noise[512];

	for (int i = 0; i < 3000; i++) {
		libvchan_t *s = server(1024);
		int raw = raw_connect();
		pthread_t peer;
		char got[16];
		int n = 0, r;

		wait_until_open(s);
		assert_int_equal(pthread_create(&peer, NULL, send_and_close, &raw), 0);
		while (libvchan_write(s, noise, sizeof(noise)) > 0)
			;
		while (n < 16 && (r = libvchan_read(s, got + n, (size_t)(16 - n))) > 0)
			n += r;
		assert_int_equal(pthread_join(peer, NULL), 0);
		assert_int_equal(n, 16);
		assert_memory_equal(got, "0123456789abcdef", 16);
		libvchan_close(s);
	}
}
