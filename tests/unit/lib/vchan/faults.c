/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a machine short of memory or descriptors makes a vchan crash, leak or lie. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/vchan/vchan.h"

/*
 * The linker puts these in the place of the library's calls: the n-th one fails. A scenario (listen,
 * connect, bytes both ways, export, import, close) then ends in an error or not, but leaves no
 * descriptor and, under AddressSanitizer, no memory.
 */
static unsigned int calls, fail_at;
static bool failed;

static bool fails(void)
{
	if (++calls != fail_at)
		return false;
	failed = true;
	errno = ENOMEM;
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

static struct vchan *hand_on(struct vchan *vchan)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	struct vchan *other;

	if (vchan_export(vchan, &handle, fds))
		return vchan_close(vchan);
	return vchan_import(&handle, fds, &other) ? NULL : other;
}

static bool scenario(enum vchan_transport transport, bool client_first)
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
	if (client_first && vchan_connect(&mirror, &client))
		client = NULL;
	if (vchan_listen(&config, &server))
		server = NULL;
	if (!client_first && vchan_connect(&mirror, &client))
		client = NULL;
	if (server && client) {
		run_until(server, client, VCHAN_OPEN);
		if (vchan_state(server) == VCHAN_OPEN && vchan_state(client) == VCHAN_OPEN)
			client = hand_on(client);
		good = client && exchange(server, client) && exchange(client, server);
	}
	(void)vchan_close(client);
	(void)vchan_close(server);
	return good;
}

static void each_call_fails(enum vchan_transport transport, bool client_first)
{
	size_t before;
	unsigned int total;

	fail_at = 0;
	calls = 0;
	failed = false;
	assert_true(scenario(transport, client_first));
	total = calls;
	before = entries("/proc/self/fd");
	for (unsigned int n = 1; n <= total; n++) {
		fail_at = n;
		calls = 0;
		failed = false;
		(void)scenario(transport, client_first);
		fail_at = 0;
		assert_int_equal(entries("/proc/self/fd"), before);
		remove_files();
	}
	assert_true(total > 20);
	assert_true(scenario(transport, client_first));
	assert_int_equal(entries(dir), 2);
}

static void test_socket(void **state)
{
	each_call_fails(VCHAN_SOCKET, false);
	each_call_fails(VCHAN_SOCKET, true);
}

static void test_memfd(void **state)
{
	each_call_fails(VCHAN_MEMFD, false);
	each_call_fails(VCHAN_MEMFD, true);
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
