/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, an unmodified Qubes program loses data, hangs, or does not start over a vchan. */
#include "tests/unit/lib/vchan/cases.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64];

void as_domain(const char *domain)
{
	assert_int_equal(setenv("VCHAN_DOMAIN", domain, 1), 0);
}

libvchan_t *server(size_t ring)
{
	libvchan_t *s;

	as_domain("1");
	s = libvchan_server_init(2, CASES_PORT, ring, ring);
	assert_non_null(s);
	return s;
}

libvchan_t *client(void)
{
	libvchan_t *c;

	as_domain("2");
	c = libvchan_client_init(1, CASES_PORT);
	assert_non_null(c);
	return c;
}

int raw_try_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = CASES_LIMIT_MS / 1000};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vchan.1.2.%d.sock", dir,
	               CASES_PORT);
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return sock;
	(void)close(sock);
	return -1;
}

int raw_connect(void)
{
	int sock = raw_try_connect();

	assert_true(sock >= 0);
	return sock;
}

void raw_send(int sock, const char *data, size_t len)
{
	assert_int_equal(send(sock, data, len, MSG_NOSIGNAL), len);
}

void raw_expect(int sock, const char *data, size_t len)
{
	char got[256];

	assert_true(len <= sizeof(got));
	assert_int_equal(recv(sock, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, data, len);
}

void wait_until_open(libvchan_t *v)
{
	while (libvchan_is_open(v) == VCHAN_WAITING)
		assert_int_equal(libvchan_wait(v), 0);
	assert_int_equal(libvchan_is_open(v), VCHAN_CONNECTED);
}

void wait_for_data(libvchan_t *v, int n)
{
	while (libvchan_data_ready(v) < n)
		assert_int_equal(libvchan_wait(v), 0);
}

void fill_pattern(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(i * 7 + i / 251);
}

size_t files_left(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

size_t threads_now(void)
{
	DIR *d = opendir("/proc/self/task");
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
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
	        CASE("thread", "a reader and a writer at once", test_two_threads),
	        CASE("thread", "two readers and a writer", test_three_threads),
	        CASE("18", "a message that a socket does not take at once", test_large_message),
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
	        CASE("08", "recv of single bytes", test_08_recv_of_single_bytes),
	        CASE("09", "more than a ring", test_09_more_than_a_ring),
	        CASE("10", "around the end of the ring", test_10_around_the_end),
	        CASE("12", "wait returns on connect", test_12_wait_for_client),
	        CASE("13", "peer closes", test_13_peer_closes),
	        CASE("15", "a second client is not served", test_15_second_client),
	        CASE("16", "no second life", test_16_no_second_life),
	        CASE("19", "last words are read, 3000 times", test_19_last_words),
	};

	(void)alarm(CASES_LIMIT_MS / 1000 * 2);
	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "raw") == 0)
		return cmocka_run_group_tests_name("raw peer", raw, setup, teardown);
	if (setenv("VCHAN_TRANSPORT", argv[1], 1) < 0)
		return 1;
	return cmocka_run_group_tests_name(argv[1], both, setup, teardown);
}
