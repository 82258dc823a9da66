/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, an unmodified Qubes program loses data, hangs, or does not start over a vchan. */
#include "tests/unit/lib/vchan/cases.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void test_11_client(void **state)
{
	libvchan_t *s = server(1024);
	libvchan_t *c = client();
	char buf[11];

	assert_int_equal(libvchan_write(c, "Hello World", 11), 11);
	assert_int_equal(libvchan_read(s, buf, 11), 11);
	assert_memory_equal(buf, "Hello World", 11);
	libvchan_close(c);
	libvchan_close(s);
}

void test_14_bytes_before_the_end(void **state)
{
	libvchan_t *s = server(8192);
	libvchan_t *c = client();
	char sent[8192], got[8192];
	size_t n = 0;
	int r;

	fill_pattern(sent, sizeof(sent));
	assert_int_equal(libvchan_write(c, sent, sizeof(sent)), sizeof(sent));
	libvchan_close(c);
	while ((r = libvchan_read(s, got + n, sizeof(got) - n)) > 0)
		n += (size_t)r;
	assert_int_equal(n, sizeof(sent));
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(libvchan_read(s, got, 1), -1);
	libvchan_close(s);
}

void test_18_larger_than_the_ring(void **state)
{
	static char big[1 << 21];
	libvchan_t *s = server(1024);
	libvchan_t *c = client();

	wait_until_open(s);
	assert_int_equal(libvchan_send(s, big, sizeof(big)), -1);
	assert_int_equal(libvchan_recv(s, big, sizeof(big)), -1);
	assert_int_equal(libvchan_send(c, big, sizeof(big)), -1);
	assert_int_equal(libvchan_recv(c, big, sizeof(big)), -1);
	libvchan_set_blocking(s, false);
	assert_int_equal(libvchan_send(s, big, sizeof(big)), 0);
	assert_int_equal(libvchan_read(s, big, 1), 0);
	libvchan_close(c);
	libvchan_close(s);
}

void test_17_client_first(void **state)
{
	static const int early_ms[] = {0, 1, 20, 300}; /* 300: the directory is watched by then */

	for (size_t i = 0; i < ARRAY_LEN(early_ms); i++) {
		pid_t child = fork();
		libvchan_t *s;
		char buf[5];
		int status;

		if (child == 0) {
			libvchan_t *c = client();

			_exit(libvchan_write(c, "early", 5) == 5 ? 0 : 1);
		}
		(void)poll(NULL, 0, early_ms[i]);
		s = server(1024);
		assert_int_equal(libvchan_recv(s, buf, 5), 5);
		assert_memory_equal(buf, "early", 5);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		libvchan_close(s);
	}
}

void test_20_port_again(void **state)
{
	libvchan_t *old = server(1024);
	libvchan_t *old_client = client();

	wait_until_open(old);
	for (int i = 0; i < 1000; i++) {
		libvchan_t *s = server(1024);
		libvchan_t *c = client();
		char buf[4];

		assert_int_equal(libvchan_write(c, &i, sizeof(i)), sizeof(i));
		assert_int_equal(libvchan_recv(s, buf, 4), 4);
		assert_memory_equal(buf, &i, 4);
		libvchan_close(old_client);
		libvchan_close(old);
		old = s;
		old_client = c;
	}
	libvchan_close(old_client);
	libvchan_close(old);
}

void test_20_two_listeners(void **state)
{
	/* The older one is closed after the newer one took the path: the path stays the newer's. */
	libvchan_t *older = server(1024);
	libvchan_t *newer = server(1024);
	libvchan_t *c;
	char buf[3];

	libvchan_close(older);
	c = client();
	assert_int_equal(libvchan_write(c, "new", 3), 3);
	assert_int_equal(libvchan_recv(newer, buf, 3), 3);
	libvchan_close(c);
	libvchan_close(newer);
}

void test_21_close_leaves_nothing(void **state)
{
	size_t before = threads_now();
	libvchan_t *s = server(1024);

	assert_int_equal(libvchan_write(s, "lost", 4), 4);
	assert_int_equal(files_left(), 1);
	libvchan_close(s);
	assert_int_equal(files_left(), 0);
	assert_int_equal(threads_now(), before);
}

void test_async_client(void **state)
{
	struct pollfd wait = {.events = POLLIN};
	libvchan_t *c, *s;
	char buf[2];
	int r;

	as_domain("2");
	c = libvchan_client_init_async(1, CASES_PORT, &wait.fd);
	assert_non_null(c);
	assert_true(libvchan_client_init_async_finish(c, true) > 0);
	assert_int_equal(libvchan_is_open(c), VCHAN_WAITING);
	assert_int_equal(libvchan_read(c, buf, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(libvchan_data_ready(c), 0);
	assert_int_equal(libvchan_fd_for_select(c), -1);
	s = server(1024);
	while ((r = libvchan_client_init_async_finish(c, true)) > 0)
		assert_int_equal(poll(&wait, 1, CASES_LIMIT_MS), 1);
	assert_int_equal(r, 0);
	assert_int_equal(libvchan_write(c, "ok", 2), 2);
	assert_int_equal(libvchan_recv(s, buf, 2), 2);
	libvchan_close(c);
	libvchan_close(s);
}

void test_loopback_refused(void **state)
{
	as_domain("1");
	assert_null(libvchan_server_init(1, CASES_PORT, 1024, 1024));
	assert_null(libvchan_client_init(1, CASES_PORT));
	assert_null(libvchan_client_init(0x7FF0, CASES_PORT));
	assert_null(libvchan_client_init(2, -1));
	assert_null(libvchan_server_init(2, CASES_PORT, (1 << 20) + 1, 1));
	as_domain("one");
	assert_null(libvchan_server_init(2, CASES_PORT, 1024, 1024));
}

void test_killed_peer(void **state)
{
	libvchan_t *s = server(1024);
	pid_t child = fork();
	char buf[4];

	if (child == 0) {
		libvchan_t *c = client();

		(void)!libvchan_write(c, "last", 4);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(libvchan_recv(s, buf, 4), 4);
	while (libvchan_is_open(s) == VCHAN_CONNECTED)
		assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(libvchan_read(s, buf, 4), -1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	libvchan_close(s);
}
