/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, an unmodified Qubes program loses data, hangs, or does not start over a vchan. */
#include "tests/unit/lib/vchan/cases.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void test_no_thread_once_connected(void **state)
{
	size_t before = threads_now();
	libvchan_t *s = server(1024);
	libvchan_t *c;

	assert_int_equal(threads_now(), before + 1);
	c = client();
	wait_until_open(s);
	/* It ends by itself; only its last instructions are waited for. */
	while (threads_now() > before)
		(void)poll(NULL, 0, 1);
	libvchan_close(c);
	libvchan_close(s);
}

/* Sends back what comes until the peer closes. */
static pid_t start_echo(void)
{
	pid_t child = fork();

	if (child == 0) {
		static char buf[3000];
		libvchan_t *s = server(1024);
		int n;

		while ((n = libvchan_read(s, buf, sizeof(buf))) > 0) {
			if (libvchan_write(s, buf, (size_t)n) != n)
				_exit(1);
		}
		_exit(0);
	}
	return child;
}

#define THREADS_BYTES (8 << 20)

static void *write_all(void *arg)
{
	static char block[10000];
	int left = THREADS_BYTES;

	memset(block, 'x', sizeof(block));
	while (left > 0) {
		size_t n = left < (int)sizeof(block) ? (size_t)left : sizeof(block);

		if (libvchan_write(arg, block, n) != (int)n)
			return NULL;
		left -= (int)n;
	}
	return arg;
}

struct reader {
	libvchan_t *vchan;
	int bytes;
	bool good;
};

static void *read_some(void *arg)
{
	struct reader *reader = arg;
	char buf[700];

	while (reader->bytes > 0) {
		size_t n =
		        (size_t)reader->bytes < sizeof(buf) ? (size_t)reader->bytes : sizeof(buf);
		int r = libvchan_read(reader->vchan, buf, n);

		if (r <= 0)
			return NULL;
		for (int i = 0; i < r; i++)
			reader->good &= buf[i] == 'x';
		reader->bytes -= r;
	}
	return arg;
}

/* A channel whose threads are blocked in different calls: an event is one's, or all stand still. */
static void threads_at_once(int n_readers)
{
	pid_t child = start_echo();
	libvchan_t *c = client();
	struct reader readers[2];
	pthread_t threads[3];
	void *result;
	int status;

	for (int i = 0; i < n_readers; i++) {
		readers[i] = (struct reader){.vchan = c,
		                             .bytes = THREADS_BYTES / n_readers,
		                             .good = true};
		assert_int_equal(pthread_create(&threads[i], NULL, read_some, &readers[i]), 0);
	}
	assert_int_equal(pthread_create(&threads[n_readers], NULL, write_all, c), 0);
	for (int i = 0; i <= n_readers; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_non_null(result);
	}
	for (int i = 0; i < n_readers; i++)
		assert_true(readers[i].good);
	libvchan_close(c);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

void test_two_threads(void **state)
{
	threads_at_once(1);
}

void test_three_threads(void **state)
{
	threads_at_once(2);
}

#define LARGE 400000 /* within the ring asked for, more than a socket takes at once */

/* Takes everything until the peer closes; ends with 0 if it was `times` times the pattern. */
static pid_t start_taker(int times)
{
	pid_t child = fork();

	if (child == 0) {
		static char all[3 * LARGE], wanted[LARGE];
		libvchan_t *c;
		size_t len = 0;
		int n;

		c = client();
		while ((n = libvchan_read(c, all + len, sizeof(all) - len)) > 0)
			len += (size_t)n;
		fill_pattern(wanted, sizeof(wanted));
		for (int i = 0; i < times; i++) {
			if (memcmp(all + i * LARGE, wanted, LARGE) != 0)
				_exit(2);
		}
		_exit(len == (size_t)times * LARGE ? 0 : 1);
	}
	return child;
}

void test_large_message(void **state)
{
	static char message[LARGE];
	libvchan_t *s = server(1 << 19);
	pid_t child = start_taker(2);
	int status;
	int n;

	(void)state;
	fill_pattern(message, sizeof(message));
	wait_until_open(s);
	libvchan_set_blocking(s, false);
	n = libvchan_send(s, message, sizeof(message));
	assert_true(n == 0 || n == LARGE);
	libvchan_set_blocking(s, true);
	for (int i = n > 0; i < 2; i++)
		assert_int_equal(libvchan_send(s, message, sizeof(message)), LARGE);
	libvchan_close(s);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
