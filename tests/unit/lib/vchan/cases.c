/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, an unmodified Qubes program loses data, hangs, or does not start over a vchan. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libvchan.h>

/*
 * Cases 1 to 21 of doc/protocol/vchan.md, section 6. S: server domain 1 for client domain 2, port
 * 42, with rings of 1024 asked for; a raw peer is a plain AF_UNIX program.
 */
#define PORT     42
#define LIMIT_MS 60000 /* only reached by a bug: then a test fails instead of standing still */

static char dir[64];

static void as_domain(const char *domain)
{
	assert_int_equal(setenv("VCHAN_DOMAIN", domain, 1), 0);
}

static libvchan_t *server(size_t ring)
{
	libvchan_t *s;

	as_domain("1");
	s = libvchan_server_init(2, PORT, ring, ring);
	assert_non_null(s);
	return s;
}

static libvchan_t *client(void)
{
	libvchan_t *c;

	as_domain("2");
	c = libvchan_client_init(1, PORT);
	assert_non_null(c);
	return c;
}

static int raw_try_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vchan.1.2.%d.sock", dir, PORT);
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return sock;
	(void)close(sock);
	return -1;
}

static int raw_connect(void)
{
	int sock = raw_try_connect();

	assert_true(sock >= 0);
	return sock;
}

static void raw_send(int sock, const char *data, size_t len)
{
	assert_int_equal(send(sock, data, len, MSG_NOSIGNAL), len);
}

static void raw_expect(int sock, const char *data, size_t len)
{
	char got[256];

	assert_true(len <= sizeof(got));
	assert_int_equal(recv(sock, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, data, len);
}

static void wait_until_open(libvchan_t *v)
{
	while (libvchan_is_open(v) == VCHAN_WAITING)
		assert_int_equal(libvchan_wait(v), 0);
	assert_int_equal(libvchan_is_open(v), VCHAN_CONNECTED);
}

static void wait_for_data(libvchan_t *v, int n)
{
	while (libvchan_data_ready(v) < n)
		assert_int_equal(libvchan_wait(v), 0);
}

static void fill_pattern(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(i * 7 + i / 251);
}

static size_t files_left(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

static size_t threads_now(void)
{
	DIR *d = opendir("/proc/self/task");
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void test_01_read_after_connect(void **state)
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

static void test_02_read_waits(void **state)
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

static void test_03_write(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();

	assert_int_equal(libvchan_write(s, "Hello World", 11), 11);
	raw_expect(raw, "Hello World", 11);
	libvchan_close(s);
	(void)close(raw);
}

static void test_04_write_before_connect(void **state)
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

static void test_05_data_ready(void **state)
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

static void test_06_buffer_space(void **state)
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

static void test_07_short_read(void **state)
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

static void test_08_recv_waits_for_all(void **state)
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

static void test_09_more_than_a_ring(void **state)
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

static void test_10_around_the_end(void **state)
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

static void test_11_client(void **state)
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

static void test_12_wait_for_client(void **state)
{
	libvchan_t *s = server(1024);
	int raw = raw_connect();

	assert_int_equal(libvchan_wait(s), 0);
	wait_until_open(s);
	libvchan_close(s);
	(void)close(raw);
}

static void test_13_peer_closes(void **state)
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

static void test_14_bytes_before_the_end(void **state)
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

static void test_15_second_client(void **state)
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

static void test_16_no_second_life(void **state)
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

static void test_17_client_first(void **state)
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

static void test_18_larger_than_the_ring(void **state)
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

static void *send_and_close(void *arg)
{
	int raw = *(int *)arg;

	(void)send(raw, "0123456789abcdef", 16, MSG_NOSIGNAL);
	(void)close(raw);
	return NULL;
}

static void test_19_last_words(void **state)
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

static void test_20_port_again(void **state)
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

static void test_20_two_listeners(void **state)
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

static void test_21_close_leaves_nothing(void **state)
{
	size_t before = threads_now();
	libvchan_t *s = server(1024);

	assert_int_equal(libvchan_write(s, "lost", 4), 4);
	assert_int_equal(files_left(), 1);
	libvchan_close(s);
	assert_int_equal(files_left(), 0);
	assert_int_equal(threads_now(), before);
}

static void test_async_client(void **state)
{
	struct pollfd wait = {.events = POLLIN};
	libvchan_t *c, *s;
	char buf[2];
	int r;

	as_domain("2");
	c = libvchan_client_init_async(1, PORT, &wait.fd);
	assert_non_null(c);
	assert_true(libvchan_client_init_async_finish(c, true) > 0);
	assert_int_equal(libvchan_is_open(c), VCHAN_WAITING);
	assert_int_equal(libvchan_read(c, buf, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(libvchan_data_ready(c), 0);
	assert_int_equal(libvchan_fd_for_select(c), -1);
	s = server(1024);
	while ((r = libvchan_client_init_async_finish(c, true)) > 0)
		assert_int_equal(poll(&wait, 1, LIMIT_MS), 1);
	assert_int_equal(r, 0);
	assert_int_equal(libvchan_write(c, "ok", 2), 2);
	assert_int_equal(libvchan_recv(s, buf, 2), 2);
	libvchan_close(c);
	libvchan_close(s);
}

static void test_loopback_refused(void **state)
{
	as_domain("1");
	assert_null(libvchan_server_init(1, PORT, 1024, 1024));
	assert_null(libvchan_client_init(1, PORT));
	assert_null(libvchan_client_init(0x7FF0, PORT));
	assert_null(libvchan_client_init(2, -1));
	assert_null(libvchan_server_init(2, PORT, (1 << 20) + 1, 1));
	as_domain("one");
	assert_null(libvchan_server_init(2, PORT, 1024, 1024));
}

static void test_no_thread_once_connected(void **state)
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

static void test_killed_peer(void **state)
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

static int setup(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/skerry-vchan-XXXXXX");
	return mkdtemp(dir) && setenv("VCHAN_SOCKET_DIR", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

#define CASE(number, name, fn)                                                                     \
	{                                                                                          \
		"vchan-" number " " name, fn, NULL, NULL, NULL                                     \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest both[] = {
	        CASE("11", "a client's bytes arrive", test_11_client),
	        CASE("14", "bytes before the end are read", test_14_bytes_before_the_end),
	        CASE("17", "client before server", test_17_client_first),
	        CASE("18", "send and recv larger than the ring", test_18_larger_than_the_ring),
	        CASE("20", "a port is used again, 1000 times", test_20_port_again),
	        CASE("20", "an older listener closes later", test_20_two_listeners),
	        CASE("21", "close of a server without client", test_21_close_leaves_nothing),
	        CASE("36", "loopback and bad numbers refused", test_loopback_refused),
	        CASE("async", "init does not wait", test_async_client),
	        CASE("thread", "none once connected", test_no_thread_once_connected),
	        CASE("kill", "a killed peer is noticed", test_killed_peer),
	};
	const struct CMUnitTest raw[] = {
	        CASE("01", "read after connect", test_01_read_after_connect),
	        CASE("02", "read waits for the client", test_02_read_waits),
	        CASE("03", "write", test_03_write),
	        CASE("04", "write before connect arrives", test_04_write_before_connect),
	        CASE("05", "data_ready", test_05_data_ready),
	        CASE("06", "buffer_space", test_06_buffer_space),
	        CASE("07", "short read", test_07_short_read),
	        CASE("08", "recv waits for all", test_08_recv_waits_for_all),
	        CASE("09", "more than a ring", test_09_more_than_a_ring),
	        CASE("10", "around the end of the ring", test_10_around_the_end),
	        CASE("12", "wait returns on connect", test_12_wait_for_client),
	        CASE("13", "peer closes", test_13_peer_closes),
	        CASE("15", "a second client is not served", test_15_second_client),
	        CASE("16", "no second life", test_16_no_second_life),
	        CASE("19", "last words are read, 3000 times", test_19_last_words),
	};

	(void)alarm(LIMIT_MS / 1000 * 2);
	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "raw") == 0)
		return cmocka_run_group_tests_name("raw peer", raw, setup, teardown);
	if (setenv("VCHAN_TRANSPORT", argv[1], 1) < 0)
		return 1;
	return cmocka_run_group_tests_name(argv[1], both, setup, teardown);
}
