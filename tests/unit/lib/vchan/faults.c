/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a machine short of memory or descriptors makes a vchan crash, leak or lie. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/vchan/vchan.h"

/*
 * The linker puts these in the place of the library's calls: the n-th one fails. A scenario (listen,
 * connect, bytes both ways, export, import, close) then ends in an error or not, but leaves no
 * descriptor and, under AddressSanitizer, no memory.
 */
static unsigned int calls, fail_at;
static bool failed;
static int fail_errno;

static bool fails(void)
{
	if (++calls != fail_at)
		return false;
	failed = true;
	errno = fail_errno;
	return true;
}

#define FAULT(type, none, name, params, args)                                                      \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? none : __real_##name args;                                        \
	}

FAULT(void *, NULL, malloc, (size_t n), (n))
FAULT(void *, NULL, calloc, (size_t n, size_t size), (n, size))
FAULT(void *, NULL, realloc, (void *p, size_t n), (p, n))
FAULT(int, -1, epoll_create1, (int flags), (flags))
FAULT(int, -1, epoll_ctl, (int e, int op, int fd, struct epoll_event *ev), (e, op, fd, ev))
FAULT(int, -1, epoll_wait, (int e, struct epoll_event *ev, int n, int ms), (e, ev, n, ms))
FAULT(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAULT(int, -1, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
FAULT(int, -1, listen, (int fd, int n), (fd, n))
FAULT(int, -1, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
FAULT(int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *n, int f), (fd, a, n, f))
FAULT(int, -1, rename, (const char *from, const char *to), (from, to))
FAULT(int, -1, timerfd_create, (int clock, int flags), (clock, flags))
FAULT(int, -1, setsockopt, (int fd, int l, int o, const void *v, socklen_t n), (fd, l, o, v, n))
FAULT(int, -1, getsockopt, (int fd, int l, int o, void *v, socklen_t *n), (fd, l, o, v, n))
FAULT(ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
FAULT(ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
FAULT(ssize_t, -1, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
/* What the fortified build calls instead. */
FAULT(ssize_t, -1, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags),
      (fd, p, n, room, flags))
FAULT(ssize_t, -1, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
FAULT(int, -1, memfd_create, (const char *name, unsigned int flags), (name, flags))
FAULT(int, -1, ftruncate64, (int fd, off_t n), (fd, n))
FAULT(void *, MAP_FAILED, mmap64, (void *a, size_t n, int p, int f, int fd, off_t o),
      (a, n, p, f, fd, o))
FAULT(int, -1, stat64, (const char *path, struct stat *st), (path, st))
FAULT(int, -1, lstat64, (const char *path, struct stat *st), (path, st))
FAULT(int, -1, fstat64, (int fd, struct stat *st), (fd, st))
FAULT(int, -1, unlink, (const char *path), (path))
FAULT(int, -1, timerfd_settime,
      (int fd, int flags, const struct itimerspec *to, struct itimerspec *was),
      (fd, flags, to, was))
FAULT(int, -1, inotify_init1, (int flags), (flags))
FAULT(int, -1, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
FAULT(ssize_t, -1, __read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room))
FAULT(ssize_t, -1, splice, (int in, off_t *io, int out, off_t *oo, size_t n, unsigned int flags),
      (in, io, out, oo, n, flags))
FAULT(ssize_t, -1, readv, (int fd, const struct iovec *parts, int n), (fd, parts, n))
FAULT(ssize_t, -1, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
/* Their last argument is a number or an address: both fit in a long. */
FAULT(int, -1, fcntl64, (int fd, int cmd, long arg), (fd, cmd, arg))
FAULT(int, -1, ioctl, (int fd, unsigned long request, long arg), (fd, request, arg))

/* Each look at the clock is a second later: a client that waits soon watches the directory. */
int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	static time_t ahead;
	int r = __real_clock_gettime(clock, ret_now);

	ret_now->tv_sec += ahead++;
	return r;
}

static char dir[] = "/tmp/skerry-faults-XXXXXX";

static size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void remove_files(void)
{
	DIR *d = opendir(dir);

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
}

/* Both get their events until something has come to an end, or to a result. */
static void run_until(struct vchan *a, struct vchan *b, enum vchan_state state)
{
	for (int i = 0; i < 200; i++) {
		struct pollfd fds[2] = {{.fd = vchan_fd(a), .events = POLLIN},
		                        {.fd = vchan_fd(b), .events = POLLIN}};

		if (vchan_state(a) == state && vchan_state(b) == state)
			return;
		(void)poll(fds, 2, failed ? 1 : 1000);
		(void)vchan_step(a);
		(void)vchan_step(b);
		if (vchan_state(a) == VCHAN_CLOSED || vchan_state(b) == VCHAN_CLOSED)
			return;
	}
}

static bool exchange(struct vchan *from, struct vchan *to)
{
	static char body[40000];
	static char buf[sizeof(body) + 4];
	size_t n = 0;

	if (vchan_write_message(from, "head", 4, body, sizeof(body)))
		return false;
	for (int i = 0; i < 200 && n < sizeof(buf); i++) {
		ssize_t r = vchan_read(to, buf + n, sizeof(buf) - n);

		if (r < 0)
			break;
		n += (size_t)r;
		(void)vchan_step(from);
		(void)vchan_step(to);
	}
	return n == sizeof(buf) && memcmp(buf, "head", 4) == 0;
}

/* A pipe, the channel, a pipe: bulk as a call moves it. */
static bool exchange_pipes(struct vchan *from, struct vchan *to)
{
	static char data[3000];
	size_t sent = 0, got = 0;
	int in[2], out[2];
	bool blocked;
	ssize_t r = 0;

	assert_int_equal(pipe2(in, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(write(in[1], data, sizeof(data)), sizeof(data));
	for (int i = 0; i < 200 && r >= 0 && got < sizeof(data); i++) {
		if (sent < sizeof(data))
			r = vchan_from_pipe(from, in[0], sizeof(data) - sent, &blocked);
		sent += r > 0 ? (size_t)r : 0;
		if (r >= 0)
			r = vchan_to_fd(to, out[1], sizeof(data), &blocked);
		got += r > 0 ? (size_t)r : 0;
		(void)vchan_step(from);
		(void)vchan_step(to);
	}
	for (int i = 0; i < 2; i++) {
		(void)close(in[i]);
		(void)close(out[i]);
	}
	return got == sizeof(data);
}

/* What a server was told before its client is there. */
static bool write_early(struct vchan *server)
{
	return vchan_write(server, "early", 5) == 5;
}

static bool read_early(struct vchan *client)
{
	char buf[5];

	for (int i = 0; i < 200; i++) {
		ssize_t r = vchan_read(client, buf, sizeof(buf));

		if (r != 0)
			return r == sizeof(buf) && memcmp(buf, "early", 5) == 0;
		(void)vchan_step(client);
	}
	return false;
}

static struct vchan *hand_on(struct vchan *vchan)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	struct vchan *other;

	if (vchan_export(vchan, &handle, fds))
		return vchan_close(vchan);
	return vchan_import(&handle, fds, &other) ? NULL : other;
}

/* The timer of its first tries; then it watches the directory, if it can. */
static void wait_a_while(struct vchan *client)
{
	struct pollfd wait = {.fd = vchan_fd(client), .events = POLLIN};

	for (int i = 0; i < 2 && vchan_state(client) == VCHAN_WAITING; i++) {
		(void)poll(&wait, 1, failed ? 1 : 5);
		(void)vchan_step(client);
	}
}

enum order { SERVER_FIRST, CLIENT_FIRST, CLIENT_LONG_BEFORE };

static bool scenario(enum vchan_transport transport, enum order order)
{
	struct vchan_config config = {.transport = transport,
	                              .dir = dir,
	                              .own = 1,
	                              .peer = 2,
	                              .port = 3,
	                              .read_min = 65536,
	                              .write_min = 65536};
	struct vchan_config mirror = config;
	struct vchan *server = NULL, *client = NULL;
	bool good = false;

	mirror.own = 2;
	mirror.peer = 1;
	if (order != SERVER_FIRST && vchan_connect(&mirror, &client))
		client = NULL;
	if (order == CLIENT_LONG_BEFORE && client)
		wait_a_while(client);
	if (vchan_listen(&config, &server))
		server = NULL;
	if (order == SERVER_FIRST && vchan_connect(&mirror, &client))
		client = NULL;
	if (server && client) {
		bool early = write_early(server);

		run_until(server, client, VCHAN_OPEN);
		if (vchan_state(server) == VCHAN_OPEN && vchan_state(client) == VCHAN_OPEN)
			client = hand_on(client);
		good = early && client && read_early(client) && exchange(server, client) &&
		       exchange(client, server) && exchange_pipes(client, server) &&
		       exchange_pipes(server, client);
	}
	(void)vchan_close(client);
	(void)vchan_close(server);
	return good;
}

static void each_call_fails(enum vchan_transport transport, enum order order, int error)
{
	size_t before;
	unsigned int total;

	fail_at = 0;
	calls = 0;
	failed = false;
	fail_errno = error;
	assert_true(scenario(transport, order));
	total = calls;
	before = entries("/proc/self/fd");
	for (unsigned int n = 1; n <= total; n++) {
		fail_at = n;
		calls = 0;
		failed = false;
		(void)scenario(transport, order);
		fail_at = 0;
		assert_int_equal(entries("/proc/self/fd"), before);
		remove_files();
	}
	assert_true(total > 20);
	assert_true(scenario(transport, order));
	assert_int_equal(entries(dir), 2);
}

static void every_order(enum vchan_transport transport)
{
	static const int errors[] = {ENOMEM, EINTR, EAGAIN};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		each_call_fails(transport, SERVER_FIRST, errors[i]);
		each_call_fails(transport, CLIENT_FIRST, errors[i]);
		each_call_fails(transport, CLIENT_LONG_BEFORE, errors[i]);
	}
}

static void test_socket(void **state)
{
	every_order(VCHAN_SOCKET);
}

static void test_memfd(void **state)
{
	every_order(VCHAN_MEMFD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        {"vchan-faults socket: each call fails in turn", test_socket, NULL, NULL, NULL},
	        {"vchan-faults memfd: each call fails in turn", test_memfd, NULL, NULL, NULL},
	};
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests_name("vchan_faults", tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
