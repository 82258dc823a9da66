/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, descriptors of one qube would leak into the process of another, or a
 * socket below a long directory could not be reached.
 */
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The lowest free number: the same before and after means that nothing leaked. */
static int next_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)fd_close(fd);
	return fd;
}

static void make_pair(int pair[2], int type)
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(int pair[2])
{
	(void)fd_close(pair[0]);
	(void)fd_close(pair[1]);
}

static void test_close_keeps_errno_and_returns_minus_one(void **state)
{
	(void)state;
	errno = ENOTTY;
	assert_int_equal(fd_close(-1), -1);
	assert_int_equal(fd_close(10000), -1);
	assert_int_equal(errno, ENOTTY);
}

static void test_owned_descriptor_is_closed_unless_taken(void **state)
{
	int kept;
	int seen;

	(void)state;
	{
		OWNED_FD int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
		OWNED_FD int b = open("/dev/null", O_RDONLY | O_CLOEXEC);

		seen = a;
		kept = fd_take(&b);
		assert_int_equal(b, -1);
	}
	assert_false(is_open(seen));
	assert_true(is_open(kept));
	(void)fd_close(kept);
}

static void test_flags_are_set_and_cleared(void **state)
{
	int pair[2];

	(void)state;
	make_pair(pair, SOCK_STREAM);
	assert_int_equal(fd_set_blocking(pair[0], false), 0);
	assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_blocking(pair[0], true), 0);
	assert_false(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_cloexec(pair[0], false), 0);
	assert_false(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(pair[0], true), 0);
	assert_true(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
	close_pair(pair);
	assert_int_equal(fd_set_blocking(-1, true), -1);
	assert_int_equal(fd_set_cloexec(-1, true), -1);
}

static void test_descriptors_travel_with_their_message(void **state)
{
	int pair[2];
	int send[FD_PASS_MAX];
	int got[FD_PASS_MAX];
	char text[8];

	(void)state;
	make_pair(pair, SOCK_SEQPACKET);
	for (size_t n = 0; n <= FD_PASS_MAX; n++) {
		int before = next_free();
		size_t n_got = 99;

		for (size_t i = 0; i < n; i++)
			send[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fd_send_message(pair[0], "hello", 5, send, n), 5);
		for (size_t i = 0; i < n; i++)
			(void)fd_close(send[i]);
		assert_int_equal(fd_recv_message(pair[1], text, sizeof(text), got, &n_got), 5);
		assert_memory_equal(text, "hello", 5);
		assert_int_equal(n_got, n);
		for (size_t i = 0; i < n; i++) {
			assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
			(void)fd_close(got[i]);
		}
		assert_int_equal(next_free(), before);
	}
	close_pair(pair);
}

static void test_cut_message_is_refused_and_nothing_leaks(void **state)
{
	int pair[2];
	int got[FD_PASS_MAX];
	char text[4];
	size_t n_got = 99;
	int before;

	(void)state;
	make_pair(pair, SOCK_SEQPACKET);
	before = next_free();
	assert_int_equal(fd_send_message(pair[0], "hello", 5, pair, 2), 5);
	assert_int_equal(fd_recv_message(pair[1], text, sizeof(text), got, &n_got), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(n_got, 0);
	assert_int_equal(next_free(), before);
	close_pair(pair);
}

static void test_too_many_descriptors_are_refused_and_closed(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * (FD_PASS_MAX + 1))];
	} control = {0};
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.bytes,
	                     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int got[FD_PASS_MAX];
	size_t n_got = 99;
	char text[4];
	int before;
	int pair[2];

	(void)state;
	make_pair(pair, SOCK_STREAM);
	before = next_free();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (FD_PASS_MAX + 1));
	for (size_t i = 0; i < FD_PASS_MAX + 1; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[0], sizeof(int));
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	assert_int_equal(fd_recv_message(pair[1], text, sizeof(text), got, &n_got), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(n_got, 0);
	assert_int_equal(next_free(), before);
	close_pair(pair);
}

static void test_full_socket_says_eagain_and_a_gone_peer_raises_no_signal(void **state)
{
	static char block[4096];
	int pair[2];
	ssize_t r;

	(void)state;
	make_pair(pair, SOCK_STREAM | SOCK_NONBLOCK);
	do {
		r = fd_send_message(pair[0], block, sizeof(block), NULL, 0);
	} while (r > 0);
	assert_int_equal(errno, EAGAIN);
	pair[1] = fd_close(pair[1]);
	assert_int_equal(fd_send_message(pair[0], block, 1, NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
	(void)fd_close(pair[0]);
}

static void test_write_all_and_read_all_move_everything(void **state)
{
	static char sent[1 << 20];
	static char got[1 << 20];
	int pair[2];
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7);
	/* Non-blocking ends: both helpers must wait instead of failing. */
	make_pair(pair, SOCK_STREAM | SOCK_NONBLOCK);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fd_write_all(pair[0], sent, sizeof(sent)) ? 1 : 0);
	pair[0] = fd_close(pair[0]);
	assert_int_equal(fd_read_all(pair[1], got, sizeof(got)), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_equal(sent, got, sizeof(got));
	assert_int_equal(fd_read_all(pair[1], got, 1), -1);
	assert_int_equal(errno, EPIPE);
	close_pair(pair);
}

/* A socket at a path of this many bytes, reached by fd_listen_unix() and fd_connect_unix(). */
static void check_path_of(const char *dir, size_t len)
{
	char path[PATH_MAX];
	struct stat st;
	size_t at = strlen(dir);
	int listener;
	int client;
	int server;

	memcpy(path, dir, at);
	while (len - at > 60) {
		path[at++] = '/';
		memset(path + at, 'd', 40);
		at += 40;
		path[at] = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	}
	path[at++] = '/';
	memset(path + at, 's', len - at);
	path[len] = '\0';
	listener = fd_listen_unix(path, SOCK_STREAM, 0620, 5);
	assert_true(listener >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0620);
	client = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	assert_true(client >= 0);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	(void)fd_close(server);
	(void)fd_close(client);
	/* Listening again replaces what is there. */
	(void)fd_close(listener);
	listener = fd_listen_unix(path, SOCK_STREAM, 0600, 5);
	assert_true(listener >= 0);
	(void)fd_close(listener);
	assert_int_equal(unlink(path), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void test_unix_paths_of_any_length(void **state)
{
	const size_t sun_max = sizeof(((struct sockaddr_un *)0)->sun_path);
	const size_t lengths[] = {sun_max - 2, sun_max - 1, sun_max, sun_max + 1, 300, 1000};
	char dir[] = "/tmp/skXXXXXX";
	int before = next_free();

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		check_path_of(dir, lengths[i]);
	assert_int_equal(next_free(), before);
	assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_read_to_end(void **state)
{
	const size_t expected[] = {0, 1, 4999, 5000, 5001, 20000};
	char bytes[5000];
	int before = next_free();

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		for (size_t max = 4999; max <= 5001; max++) {
			int ends[2];
			char *data = NULL;
			size_t len = 0;
			int r;

			assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
			assert_int_equal(fd_write_all(ends[1], bytes, sizeof(bytes)), 0);
			(void)fd_close(ends[1]);
			r = fd_read_to_end(ends[0], expected[i], max, &data, &len);
			(void)fd_close(ends[0]);
			assert_int_equal(r, max < sizeof(bytes) ? -1 : 0);
			if (r < 0) {
				assert_int_equal(errno, EFBIG);
				continue;
			}
			assert_int_equal(len, sizeof(bytes));
			assert_memory_equal(data, bytes, len);
			assert_int_equal(data[len], '\0');
			free(data);
		}
	}
	assert_int_equal(next_free(), before);
}

static void test_unix_path_errors(void **state)
{
	char path[PATH_MAX];
	int before = next_free();

	(void)state;
	assert_int_equal(fd_connect_unix("/nonexistent/socket", SOCK_STREAM), -1);
	assert_int_equal(errno, ENOENT);
	memset(path, 'x', 200);
	path[200] = '\0';
	assert_int_equal(fd_connect_unix(path, SOCK_STREAM), -1);
	assert_int_equal(errno, ENOENT);
	memset(path, 'x', 300);
	path[300] = '\0';
	assert_int_equal(fd_connect_unix(path, SOCK_STREAM), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	(void)memcpy(path, "/tmp/", 5);
	assert_int_equal(fd_listen_unix(path, SOCK_STREAM, 0600, 5), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(next_free(), before);
}

static void test_close_from_keeps_what_is_listed(void **state)
{
	(void)state;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		const int keep[] = {205, 202, -1, 100};

		for (int fd = 200; fd < 210; fd++)
			(void)dup2(2, fd);
		(void)dup2(2, 100);
		fd_close_from(200, keep, ARRAY_LEN(keep));
		for (int fd = 200; fd < 210; fd++) {
			if (is_open(fd) != (fd == 202 || fd == 205))
				_exit(fd - 199);
		}
		_exit(is_open(100) ? 0 : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_close_keeps_errno_and_returns_minus_one),
	        cmocka_unit_test(test_owned_descriptor_is_closed_unless_taken),
	        cmocka_unit_test(test_flags_are_set_and_cleared),
	        cmocka_unit_test(test_descriptors_travel_with_their_message),
	        cmocka_unit_test(test_cut_message_is_refused_and_nothing_leaks),
	        cmocka_unit_test(test_too_many_descriptors_are_refused_and_closed),
	        cmocka_unit_test(test_full_socket_says_eagain_and_a_gone_peer_raises_no_signal),
	        cmocka_unit_test(test_write_all_and_read_all_move_everything),
	        cmocka_unit_test(test_unix_paths_of_any_length),
	        cmocka_unit_test(test_unix_path_errors),
	        cmocka_unit_test(test_read_to_end),
	        cmocka_unit_test(test_close_from_keeps_what_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
