/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a call between qubes loses bytes, wakes nobody, or costs more than it should. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vchan/vchan.h"

#define LIMIT_MS 60000

static char dir[] = "/tmp/skerry-channel-XXXXXX";
static enum vchan_transport transport;

static struct vchan_config config_for(bool is_server, int port)
{
	return (struct vchan_config){.transport = transport,
	                             .dir = dir,
	                             .own = is_server ? 1 : 2,
	                             .peer = is_server ? 2 : 1,
	                             .port = port,
	                             .read_min = 65536,
	                             .write_min = 65536};
}

static struct vchan *start(bool is_server, int port)
{
	struct vchan_config config = config_for(is_server, port);
	struct vchan *vchan = NULL;

	assert_int_equal(is_server ? vchan_listen(&config, &vchan) : vchan_connect(&config, &vchan),
	                 0);
	assert_non_null(vchan);
	return vchan;
}

static bool has_event(struct vchan *vchan, int ms)
{
	struct pollfd wait = {.fd = vchan_fd(vchan), .events = POLLIN};

	return poll(&wait, 1, ms) == 1;
}

static void next_event(struct vchan *vchan)
{
	assert_true(has_event(vchan, LIMIT_MS));
	(void)vchan_step(vchan);
}

static void open_pair(struct vchan **ret_server, struct vchan **ret_client, int port)
{
	struct vchan *s = start(true, port);
	struct vchan *c = start(false, port);

	while (vchan_state(s) == VCHAN_WAITING || vchan_state(c) == VCHAN_WAITING) {
		struct pollfd fds[2] = {{.fd = vchan_fd(s), .events = POLLIN},
		                        {.fd = vchan_fd(c), .events = POLLIN}};

		assert_true(poll(fds, 2, LIMIT_MS) > 0);
		(void)vchan_step(s);
		(void)vchan_step(c);
	}
	assert_int_equal(vchan_state(s), VCHAN_OPEN);
	assert_int_equal(vchan_state(c), VCHAN_OPEN);
	*ret_server = s;
	*ret_client = c;
}

static void read_exactly(struct vchan *vchan, void *buf, size_t len)
{
	size_t n = 0;

	while (n < len) {
		ssize_t r = vchan_read(vchan, (char *)buf + n, len - n);

		assert_true(r >= 0);
		n += (size_t)r;
		if (r == 0)
			next_event(vchan);
	}
}

static void test_peek_then_read(void **state)
{
	struct vchan *s, *c;
	char buf[8];

	open_pair(&s, &c, 1);
	assert_int_equal(vchan_peek(s, buf, 8), 0);
	assert_int_equal(vchan_write_message(c, "head", 4, "body", 4), 0);
	while (vchan_readable(s, 8) < 8)
		next_event(s);
	assert_int_equal(vchan_peek(s, buf, 4), 4);
	assert_memory_equal(buf, "head", 4);
	read_exactly(s, buf, 8);
	assert_memory_equal(buf, "headbody", 8);
	(void)vchan_close(c);
	while (vchan_state(s) == VCHAN_OPEN)
		next_event(s);
	assert_int_equal(vchan_read(s, buf, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(vchan_write(s, buf, 1), -1);
	assert_string_equal(vchan_why(s), "peer closed");
	(void)vchan_close(s);
}

static void test_message_whole_or_not(void **state)
{
	static char body[65536], got[65544];
	unsigned int sent = 0, taken = 0;
	struct vchan *s, *c;
	size_t len = transport == VCHAN_SOCKET ? 65536 : 60000;

	open_pair(&s, &c, 1);
	while (sent < 64) {
		int r;

		memset(body, (int)sent, sizeof(body));
		r = vchan_write_message(c, "headhead", 8, body, len);
		assert_true(r == 0 || r == 1);
		sent += r == 0;
		if (r == 0)
			continue;
		/* No room: the other side makes some, and that is an event. */
		assert_true(taken < sent);
		read_exactly(s, got, 8 + len);
		assert_memory_equal(got, "headhead", 8);
		assert_int_equal(got[8], taken);
		assert_int_equal(got[7 + len], taken);
		taken++;
		if (taken == sent)
			next_event(c);
	}
	for (; taken < sent; taken++) {
		read_exactly(s, got, 8 + len);
		assert_int_equal(got[8], taken);
	}
	assert_int_equal(vchan_write_message(c, got, 8, got, 1 << 20), -1);
	assert_int_equal(errno, EMSGSIZE);
	(void)vchan_close(c);
	(void)vchan_close(s);
}

static void test_quiet_when_idle(void **state)
{
	struct vchan *s, *c;
	char buf[64] = {0};

	open_pair(&s, &c, 1);
	while (has_event(s, 0))
		(void)vchan_step(s);
	while (has_event(c, 0))
		(void)vchan_step(c);
	/* Bytes that are not read do not wake again and again. */
	assert_int_equal(vchan_readable(s, 1), 0);
	assert_int_equal(vchan_write(c, buf, sizeof(buf)), sizeof(buf));
	next_event(s);
	assert_false(has_event(s, 0));
	read_exactly(s, buf, sizeof(buf));
	assert_false(has_event(c, 0));
	(void)vchan_close(c);
	(void)vchan_close(s);
}

/* As much as goes in one turn; false when the source has ended. */
static bool pump_in(struct vchan *vchan, const int pipe_fds[2], uint32_t *sent, uint32_t total)
{
	static uint32_t block[4096];
	bool blocked;
	ssize_t r;

	if (*sent >= total)
		return false;
	for (uint32_t i = 0; i < ARRAY_LEN(block); i++)
		block[i] = *sent / 4 + i;
	assert_int_equal(write(pipe_fds[1], block, sizeof(block)), sizeof(block));
	for (size_t left = sizeof(block); left > 0; left -= (size_t)r) {
		r = vchan_from_pipe(vchan, pipe_fds[0], left, &blocked);
		assert_true(r >= 0);
		assert_false(blocked);
		if (r == 0)
			next_event(vchan);
	}
	*sent += (uint32_t)sizeof(block);
	return true;
}

static void copy_in(int port, uint32_t total)
{
	struct vchan *c = start(false, port);
	int pipe_fds[2];
	uint32_t sent = 0;
	char byte;

	while (vchan_state(c) == VCHAN_WAITING)
		next_event(c);
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	while (pump_in(c, pipe_fds, &sent, total))
		;
	/* Until all has been taken: the end is the other side's. */
	while (vchan_read(c, &byte, 1) >= 0)
		next_event(c);
	(void)vchan_close(c);
	_exit(0);
}

static uint32_t check_out(int fd, uint32_t got, ssize_t len)
{
	static uint32_t block[4096];
	uint8_t *bytes = (uint8_t *)block;

	assert_int_equal(read(fd, bytes, (size_t)len), len);
	for (ssize_t i = 0; i < len; i++, got++)
		assert_int_equal(bytes[i], (uint8_t)(got / 4 >> 8 * (got % 4)));
	return got;
}

static void test_bulk_through_pipes(void **state)
{
	const uint32_t total = 32U << 20;
	struct vchan *s = start(true, 1);
	pid_t child = fork();
	int pipe_fds[2];
	uint32_t got = 0;
	bool blocked;
	int status;

	if (child == 0)
		copy_in(1, total);
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	while (got < total) {
		ssize_t r = vchan_to_fd(s, pipe_fds[1], 16384, &blocked);

		assert_true(r >= 0);
		assert_false(blocked);
		if (r > 0)
			got = check_out(pipe_fds[0], got, r);
		else
			next_event(s);
	}
	(void)vchan_close(s);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void test_to_fd_blocked(void **state)
{
	static char data[8192];
	struct vchan *s, *c;
	int pipe_fds[2];
	bool blocked;

	open_pair(&s, &c, 1);
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096) > 0);
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 4096, &blocked), 0);
	assert_false(blocked);
	assert_int_equal(vchan_write(c, data, sizeof(data)), sizeof(data));
	while (vchan_readable(s, sizeof(data)) < sizeof(data))
		next_event(s);
	while (vchan_to_fd(s, pipe_fds[1], sizeof(data), &blocked) > 0)
		;
	assert_true(blocked);
	assert_int_equal(vchan_from_pipe(c, pipe_fds[0], 0, &blocked), 0);
	(void)close(pipe_fds[0]);
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 16, &blocked), -1);
	assert_int_equal(errno, EPIPE);
	assert_true(blocked);
	assert_int_equal(vchan_state(s), VCHAN_OPEN);
	(void)close(pipe_fds[1]);
	(void)vchan_close(c);
	(void)vchan_close(s);
}

/* Runs once, right after a splice() found nothing to do and before its caller can look. */
static void (*meanwhile)(void);

ssize_t __real_splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
                      unsigned int flags);
ssize_t __wrap_splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
                      unsigned int flags);
ssize_t __wrap_splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
                      unsigned int flags)
{
	ssize_t r = __real_splice(in, in_off, out, out_off, len, flags);
	void (*fn)(void) = meanwhile;

	if (r < 0 && errno == EAGAIN && fn) {
		meanwhile = NULL;
		fn();
		errno = EAGAIN;
	}
	return r;
}

static struct vchan *meanwhile_peer;
static int meanwhile_pipe;

static void bytes_arrive(void)
{
	assert_int_equal(vchan_write(meanwhile_peer, "late", 4), 4);
}

static void pipe_drains(void)
{
	char sink[8192];

	assert_true(read(meanwhile_pipe, sink, sizeof(sink)) > 0);
}

/*
 * If this failed, a caller would wait for an event of a pipe that is not full, or for one of a
 * channel that has bytes: the call stands still for ever.
 */
static void test_to_fd_never_waits_for_nothing(void **state)
{
	static char data[8192];
	struct vchan *s, *c;
	int pipe_fds[2];
	bool blocked = true;

	open_pair(&s, &c, 1);
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096) > 0);
	meanwhile_peer = c;
	meanwhile_pipe = pipe_fds[0];

	/* The channel was empty, the pipe never full; bytes come just after the try. */
	meanwhile = bytes_arrive;
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 4, &blocked), 0);
	assert_false(blocked);
	if (meanwhile)
		meanwhile(); /* this transport needs no splice() */
	while (vchan_readable(s, 4) < 4)
		next_event(s);
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 4, &blocked), 4);

	/* The pipe is full and drains just after the try: the event of it may be over. */
	assert_int_equal(vchan_write(c, data, sizeof(data)), sizeof(data));
	while (vchan_readable(s, sizeof(data)) < sizeof(data))
		next_event(s);
	while (vchan_to_fd(s, pipe_fds[1], sizeof(data), &blocked) > 0)
		;
	assert_true(blocked);
	meanwhile = pipe_drains;
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], sizeof(data), &blocked), 0);
	if (meanwhile) {
		/* A write() that is refused promises the event itself. */
		assert_true(blocked);
		meanwhile();
		meanwhile = NULL;
	} else {
		assert_false(blocked);
	}
	assert_true(vchan_readable(s, 1) > 0);
	assert_true(vchan_to_fd(s, pipe_fds[1], sizeof(data), &blocked) > 0);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)vchan_close(c);
	(void)vchan_close(s);
}

static struct vchan *hand_on(struct vchan *vchan)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	struct vchan *other = NULL;

	assert_int_equal(vchan_export(vchan, &handle, fds), 0);
	assert_int_equal(vchan_import(&handle, fds, &other), 0);
	return other;
}

static void test_export_import(void **state)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	struct vchan *s, *c;
	char buf[5];

	open_pair(&s, &c, 1);
	/* The peer may have written already. */
	assert_int_equal(vchan_write(s, "early", 5), 5);
	c = hand_on(c);
	read_exactly(c, buf, 5);
	assert_memory_equal(buf, "early", 5);
	assert_int_equal(vchan_write(c, "reply", 5), 5);
	read_exactly(s, buf, 5);
	assert_memory_equal(buf, "reply", 5);
	assert_int_equal(vchan_export(s, &handle, fds), -1);
	assert_int_equal(errno, EBUSY);
	(void)vchan_close(s);
	while (vchan_state(c) == VCHAN_OPEN)
		next_event(c);
	(void)vchan_close(c);
	s = start(true, 2);
	assert_int_equal(vchan_export(s, &handle, fds), -1);
	assert_int_equal(errno, ENOTCONN);
	(void)vchan_close(s);
}

static void test_killed_peer(void **state)
{
	struct vchan *s = start(true, 1);
	pid_t child = fork();
	char buf[4];

	if (child == 0) {
		struct vchan *c = start(false, 1);

		while (vchan_state(c) == VCHAN_WAITING)
			next_event(c);
		assert_int_equal(vchan_write(c, "last", 4), 4);
		(void)kill(getpid(), SIGKILL);
	}
	read_exactly(s, buf, 4);
	assert_memory_equal(buf, "last", 4);
	while (vchan_state(s) != VCHAN_CLOSED)
		next_event(s);
	assert_int_equal(vchan_read(s, buf, 4), -1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	(void)vchan_close(s);
}

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

/* A process that has many calls open: two descriptors for each end, three before the first byte. */
static void test_two_thousand(void **state)
{
	enum { MANY = 2000 };
	static struct vchan *servers[MANY], *clients[MANY];
	const struct rlimit files = {.rlim_cur = 16384, .rlim_max = 16384};
	size_t before = entries("/proc/self/fd");

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		skip();
	for (int i = 0; i < MANY; i++) {
		char byte = (char)i;

		open_pair(&servers[i], &clients[i], i);
		assert_int_equal(vchan_write(clients[i], &byte, 1), 1);
		read_exactly(servers[i], &byte, 1);
		assert_int_equal(byte, (char)i);
	}
	assert_int_equal(entries("/proc/self/fd") - before, MANY * 4);
	for (int i = 0; i < MANY; i++) {
		servers[i] = vchan_close(servers[i]);
		clients[i] = vchan_close(clients[i]);
	}
	assert_int_equal(entries("/proc/self/fd"), before);
	assert_int_equal(entries(dir), 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        {"peek, then read", test_peek_then_read, NULL, NULL, NULL},
	        {"a message whole or not at all", test_message_whole_or_not, NULL, NULL, NULL},
	        {"no event without a reason", test_quiet_when_idle, NULL, NULL, NULL},
	        {"bulk through pipes", test_bulk_through_pipes, NULL, NULL, NULL},
	        {"to_fd tells which side blocks", test_to_fd_blocked, NULL, NULL, NULL},
	        {"to_fd never waits for nothing", test_to_fd_never_waits_for_nothing, NULL, NULL,
	         NULL},
	        {"export and import", test_export_import, NULL, NULL, NULL},
	        {"a killed peer is noticed", test_killed_peer, NULL, NULL, NULL},
	        {"2000 channels in one process", test_two_thousand, NULL, NULL, NULL},
	};
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 2 || !mkdtemp(dir))
		return 2;
	transport = strcmp(argv[1], "memfd") == 0 ? VCHAN_MEMFD : VCHAN_SOCKET;
	r = cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
