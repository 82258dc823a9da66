/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a call on a channel that is not open, full, closed or misnamed has another end than vchan.h says. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vchan/vchan.h"
#include "lib/vchan/vchan_extra.h"

static char dir[] = "/tmp/skerry-edges-XXXXXX";
static enum vchan_transport transport;

static struct vchan_config config_for(bool is_server)
{
	return (struct vchan_config){.transport = transport,
	                             .dir = dir,
	                             .own = is_server ? 1 : 2,
	                             .peer = is_server ? 2 : 1,
	                             .port = 3,
	                             .read_min = 4096,
	                             .write_min = 4096};
}

static struct vchan *start(bool is_server)
{
	struct vchan_config config = config_for(is_server);
	struct vchan *vchan = NULL;

	assert_int_equal(is_server ? vchan_listen(&config, &vchan) : vchan_connect(&config, &vchan),
	                 0);
	return vchan;
}

static void next_event(struct vchan *vchan)
{
	struct pollfd wait = {.fd = vchan_fd(vchan), .events = POLLIN};

	assert_int_equal(poll(&wait, 1, 60000), 1);
	(void)vchan_step(vchan);
}

static void open_both(struct vchan *s, struct vchan *c)
{
	while (vchan_state(s) == VCHAN_WAITING || vchan_state(c) == VCHAN_WAITING) {
		struct pollfd fds[2] = {{.fd = vchan_fd(s), .events = POLLIN},
		                        {.fd = vchan_fd(c), .events = POLLIN}};

		assert_true(poll(fds, 2, 60000) > 0);
		(void)vchan_step(s);
		(void)vchan_step(c);
	}
}

static void test_environment(void **state)
{
	static const struct {
		const char *transport, *domain;
		int r;
		enum vchan_transport is;
		int own;
	} rows[] = {
	        {NULL, NULL, 0, VCHAN_SOCKET, 0},
	        {"", "", 0, VCHAN_SOCKET, 0},
	        {"socket", "7", 0, VCHAN_SOCKET, 7},
	        {"memfd", "32751", 0, VCHAN_MEMFD, 32751},
	        {"grant", "7", -1, 0, 0},
	        {"memfd", "32752", -1, 0, 0},
	        {NULL, "-1", -1, 0, 0},
	        {NULL, "7x", -1, 0, 0},
	        {NULL, " 7", -1, 0, 0},
	        {NULL, "99999999999999999999", -1, 0, 0},
	        {NULL, ":", -1, 0, 0},
	};
	struct vchan_config config;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)unsetenv("VCHAN_TRANSPORT");
		(void)unsetenv("VCHAN_DOMAIN");
		if (rows[i].transport)
			(void)setenv("VCHAN_TRANSPORT", rows[i].transport, 1);
		if (rows[i].domain)
			(void)setenv("VCHAN_DOMAIN", rows[i].domain, 1);
		errno = 0;
		assert_int_equal(vchan_config_from_env(&config), rows[i].r);
		assert_int_equal(errno == EINVAL, rows[i].r < 0);
		if (rows[i].r == 0) {
			assert_int_equal(config.transport, rows[i].is);
			assert_int_equal(config.own, rows[i].own);
		}
	}
}

static void refused(struct vchan_config config, int error)
{
	struct vchan *vchan = NULL;

	errno = 0;
	assert_int_equal(vchan_listen(&config, &vchan), -1);
	assert_int_equal(errno, error);
	assert_int_equal(vchan_connect(&config, &vchan), -1);
	assert_int_equal(errno, error);
	assert_null(vchan);
}

static void test_names(void **state)
{
	static char far[5000];
	struct vchan_config good = config_for(true), bad;
	struct vchan *vchan;

	memset(far, 'x', sizeof(far) - 1);
	bad = good, bad.own = -1, refused(bad, EINVAL);
	bad = good, bad.own = 0x7FF0, refused(bad, EINVAL);
	bad = good, bad.peer = -1, refused(bad, EINVAL);
	bad = good, bad.peer = 0x7FF0, refused(bad, EINVAL);
	bad = good, bad.peer = bad.own, refused(bad, EINVAL);
	bad = good, bad.port = -1, refused(bad, EINVAL);
	bad = good, bad.read_min = VCHAN_RING_MAX + 1, refused(bad, EINVAL);
	bad = good, bad.write_min = VCHAN_RING_MAX + 1, refused(bad, EINVAL);
	bad = good, bad.transport = (enum vchan_transport)9, refused(bad, EINVAL);
	bad = good, bad.dir = far, refused(bad, ENAMETOOLONG);
	/* No folder named: the environment's, else the default one below SKERRY_ROOT. */
	good.dir = NULL;
	(void)setenv("VCHAN_SOCKET_DIR", dir, 1);
	assert_int_equal(vchan_listen(&good, &vchan), 0);
	(void)vchan_close(vchan);
	(void)setenv("VCHAN_SOCKET_DIR", "", 1);
	(void)setenv("SKERRY_ROOT", dir, 1);
	good.dir = "";
	assert_int_equal(vchan_listen(&good, &vchan), -1);
	assert_int_equal(errno, ENOENT);
	(void)unsetenv("VCHAN_SOCKET_DIR");
	assert_int_equal(vchan_listen(&good, &vchan), -1);
	assert_int_equal(errno, ENOENT);
	assert_null(vchan_close(NULL));
}

static void test_not_open_yet(void **state)
{
	struct vchan *c = start(false);
	char buf[8] = {0};
	bool blocked = true;

	assert_int_equal(vchan_state(c), VCHAN_WAITING);
	assert_string_equal(vchan_why(c), "open");
	assert_false(vchan_connected(c));
	assert_int_equal(vchan_listener(c), -1);
	vchan_refresh(c);
	vchan_poke(c);
	assert_int_equal(vchan_readable(c, 1), 0);
	assert_int_equal(vchan_writable(c, 1), 0);
	assert_int_equal(vchan_read(c, buf, 8), 0);
	assert_int_equal(vchan_peek(c, buf, 8), 0);
	assert_int_equal(vchan_write(c, buf, 8), 0);
	assert_int_equal(vchan_write_message(c, buf, 4, buf, 4), 1);
	assert_int_equal(vchan_to_fd(c, 1, 8, &blocked), 0);
	assert_false(blocked);
	assert_int_equal(vchan_from_pipe(c, 0, 8, &blocked), 0);
	assert_int_equal(vchan_write_message(c, buf, VCHAN_RING_MAX + 1, buf, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(vchan_write_message(c, buf, 0, buf, VCHAN_RING_MAX + 1), -1);
	(void)vchan_close(c);
}

/* A server may be written to, up to its ring, before its client comes; all of it arrives. */
static void test_early(void **state)
{
	static char data[8192], got[8192];
	struct vchan *s = start(true), *c;
	size_t n = 0;
	bool blocked;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(vchan_write(s, data, 0), 0);
	assert_int_equal(vchan_write(s, data, 96), 96);
	assert_int_equal(vchan_write_message(s, data + 96, 8, data + 104, 92), 0);
	assert_int_equal(vchan_writable(s, 1), 4096 - 196);
	assert_int_equal(vchan_write_message(s, data, 8, data, 4000), 1);
	assert_int_equal(vchan_write_message(s, data, 8, data, 4089), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(vchan_write(s, data + 196, 5000), 3900);
	assert_int_equal(vchan_write(s, data, 1), 0);
	assert_int_equal(vchan_read(s, got, 1), 0);
	assert_int_equal(vchan_from_pipe(s, -1, 0, &blocked), 0);
	c = start(false);
	open_both(s, c);
	while (n < 4096) {
		ssize_t r = vchan_read(c, got + n, sizeof(got) - n);

		assert_true(r >= 0);
		n += (size_t)r;
		if (r == 0)
			next_event(c);
	}
	assert_memory_equal(got, data, 4096);
	(void)vchan_close(c);
	(void)vchan_close(s);
}

static void closed_for_writing(struct vchan *vchan, int empty_pipe)
{
	char buf[4] = {0};
	bool blocked;

	assert_int_equal(vchan_write(vchan, buf, 4), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(vchan_write_message(vchan, buf, 2, buf, 2), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(vchan_from_pipe(vchan, empty_pipe, 4, &blocked), -1);
	assert_int_equal(errno, EPIPE);
	assert_false(blocked);
	assert_int_equal(vchan_writable(vchan, 1), 0);
}

static void test_after_the_end(void **state)
{
	struct vchan *s = start(true), *c = start(false);
	char buf[8];
	int pipe_fds[2];
	bool blocked;

	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	open_both(s, c);
	assert_int_equal(vchan_from_pipe(s, pipe_fds[0], 4, &blocked), 0);
	assert_true(blocked);
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 4, &blocked), 0);
	assert_false(blocked);
	assert_int_equal(vchan_write(c, "last", 4), 4);
	assert_int_equal(vchan_to_fd(s, -1, 4, &blocked), -1);
	assert_int_equal(errno, EBADF);
	assert_true(blocked);
	(void)vchan_close(c);
	while (vchan_state(s) != VCHAN_CLOSED)
		next_event(s);
	closed_for_writing(s, pipe_fds[0]);
	vchan_refresh(s);
	vchan_poke(s);
	assert_int_equal(vchan_step(s), VCHAN_CLOSED);
	assert_int_equal(vchan_readable(s, 1), 4);
	assert_int_equal(vchan_peek(s, buf, 8), 4);
	assert_int_equal(vchan_to_fd(s, pipe_fds[1], 8, &blocked), 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vchan_to_fd(s, pipe_fds[1], 8, &blocked), -1);
		assert_int_equal(errno, EPIPE);
		assert_false(blocked);
		assert_int_equal(vchan_read(s, buf, 8), -1);
		assert_int_equal(vchan_peek(s, buf, 8), -1);
	}
	assert_int_equal(vchan_readable(s, 1), 0);
	assert_int_equal(read(pipe_fds[0], buf, 8), 4);
	assert_memory_equal(buf, "last", 4);
	(void)vchan_close(s);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

/* Until nothing goes in, by each way of writing; room is an event. */
static void test_full(void **state)
{
	static char data[65536];
	struct vchan *s = start(true), *c = start(false);
	int pipe_fds[2];
	bool blocked = true;
	ssize_t r;

	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	open_both(s, c);
	while ((r = vchan_write(c, data, sizeof(data))) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(write(pipe_fds[1], data, 16), 16);
	assert_int_equal(vchan_from_pipe(c, pipe_fds[0], 16, &blocked), 0);
	assert_false(blocked);
	assert_int_equal(vchan_write_message(c, data, 8, data, 8), 1);
	assert_true(vchan_writable(c, 4096) < 4096);
	assert_int_equal(vchan_read(c, data, 0), 0);
	while (vchan_writable(c, 4096) < 4096) {
		while (vchan_read(s, data, sizeof(data)) > 0)
			;
		next_event(c);
	}
	assert_int_equal(vchan_from_pipe(c, pipe_fds[0], 16, &blocked), 16);
	(void)vchan_close(c);
	(void)vchan_close(s);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void make_head(void *arg, uint8_t *head, size_t body_len)
{
	memcpy(head, "head", 4);
	*(size_t *)arg = body_len;
}

/* A message whose body comes from a descriptor: whole or not at all, or the transport says no. */
static void test_message_from_fd(void **state)
{
	struct vchan *s = start(true), *c = start(false);
	size_t body_len = 0;
	int pipe_fds[2];
	char buf[16];

	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 8, make_head, &body_len), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	open_both(s, c);
	assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 0, make_head, &body_len), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], VCHAN_HEAD_MAX + 1, 8, make_head,
	                                       &body_len),
	                 -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 8, make_head, &body_len), -1);
	assert_int_equal(errno, transport == VCHAN_MEMFD ? EAGAIN : EOPNOTSUPP);
	assert_int_equal(write(pipe_fds[1], "body", 4), 4);
	if (transport == VCHAN_MEMFD) {
		assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 8, make_head, &body_len),
		                 4);
		assert_int_equal(body_len, 4);
		while (vchan_readable(s, 8) < 8)
			next_event(s);
		assert_int_equal(vchan_read(s, buf, sizeof(buf)), 8);
		assert_memory_equal(buf, "headbody", 8);
		/* Without room for head and a byte, nothing is taken from the descriptor. */
		assert_int_equal(write(pipe_fds[1], "more", 4), 4);
		while (vchan_write(c, buf, sizeof(buf)) > 0)
			;
		assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 8, make_head, &body_len),
		                 -1);
		assert_int_equal(errno, EOPNOTSUPP);
		assert_int_equal(read(pipe_fds[0], buf, sizeof(buf)), 4);
		(void)close(pipe_fds[1]);
		while (vchan_read(s, buf, sizeof(buf)) > 0)
			;
		assert_int_equal(vchan_message_from_fd(c, pipe_fds[0], 4, 8, make_head, &body_len),
		                 0);
	} else {
		(void)close(pipe_fds[1]);
	}
	(void)vchan_close(c);
	(void)vchan_close(s);
	(void)close(pipe_fds[0]);
}

/* After our half the peer's last words still come. */
static void test_half_close(void **state)
{
	struct vchan *c = start(false), *s;
	char buf[8];

	assert_false(vchan_half_close(c));
	vchan_set_patient(c);
	s = start(true);
	open_both(s, c);
	vchan_set_patient(c);
	assert_int_equal(vchan_half_close(c), transport == VCHAN_SOCKET);
	assert_int_equal(vchan_write(s, "last", 4), 4);
	while (vchan_readable(c, 4) < 4)
		next_event(c);
	assert_int_equal(vchan_read(c, buf, sizeof(buf)), 4);
	if (transport == VCHAN_SOCKET) {
		while (vchan_state(s) != VCHAN_CLOSED)
			next_event(s);
		assert_false(vchan_half_close(s));
	}
	(void)vchan_close(c);
	(void)vchan_close(s);
}

/* Every wrong handle is refused, and its descriptors are closed. */
static void test_import(void **state)
{
	static const struct vchan_handle rows[] = {
	        {VCHAN_SOCKET, 0, 0, 0, 4096, 0},  {VCHAN_SOCKET, 0, 0, 0, 4096, 5},
	        {VCHAN_SOCKET, 2, 0, 0, 4096, 1},  {9, 0, 0, 0, 4096, 1},
	        {VCHAN_SOCKET, 0, 0, 0, 4096, 2},  {VCHAN_MEMFD, 0, 12, 12, 0, 1},
	        {VCHAN_MEMFD, 0, 12, 12, 0, 4},    {VCHAN_MEMFD, 0, 10, 10, 0, 2},
	        {VCHAN_MEMFD, 1, 12, 21, 0, 2},    {VCHAN_MEMFD, 0, 12, 12, 0, 2},
	        {VCHAN_SOCKET, 0, 0, 0, 4096, 99},
	};
	int fds[VCHAN_FDS_MAX];
	struct vchan *vchan = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int n = 0; n < VCHAN_FDS_MAX; n++)
			fds[n] = memfd_create("wrong", MFD_CLOEXEC);
		assert_int_equal(vchan_import(&rows[i], fds, &vchan), -1);
		assert_null(vchan);
		for (uint32_t n = 0; n < VCHAN_FDS_MAX; n++) {
			bool taken = n < rows[i].n_fds;

			assert_int_equal(fcntl(fds[n], F_GETFD) < 0, taken);
			if (!taken)
				(void)close(fds[n]);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        {"vchan-edges environment", test_environment, NULL, NULL, NULL},
	        {"vchan-edges names and sizes", test_names, NULL, NULL, NULL},
	        {"vchan-edges before it is open", test_not_open_yet, NULL, NULL, NULL},
	        {"vchan-edges bytes before the client", test_early, NULL, NULL, NULL},
	        {"vchan-edges after the end", test_after_the_end, NULL, NULL, NULL},
	        {"vchan-edges full", test_full, NULL, NULL, NULL},
	        {"vchan-edges a message from a descriptor", test_message_from_fd, NULL, NULL, NULL},
	        {"vchan-edges half a close", test_half_close, NULL, NULL, NULL},
	        {"vchan-edges wrong handles", test_import, NULL, NULL, NULL},
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
