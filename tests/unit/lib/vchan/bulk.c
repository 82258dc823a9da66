/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, bulk data through a channel burns a CPU while it waits, or arrives damaged. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/vchan/vchan.h"

#define LIMIT_MS 60000
#define RING     65536U /* bytes each way */

static char dir[] = "/tmp/skerry-bulk-XXXXXX";
static enum vchan_transport transport;
static struct vchan *server, *client;

static bool has_event(struct vchan *vchan, int ms)
{
	struct pollfd wait = {.fd = vchan_fd(vchan), .events = POLLIN};

	return poll(&wait, 1, ms) == 1;
}

static int open_both(void **state)
{
	struct vchan_config config = {.transport = transport,
	                              .dir = dir,
	                              .own = 1,
	                              .peer = 2,
	                              .port = 513,
	                              .read_min = RING,
	                              .write_min = RING};

	assert_int_equal(vchan_listen(&config, &server), 0);
	config.own = 2;
	config.peer = 1;
	assert_int_equal(vchan_connect(&config, &client), 0);
	while (vchan_state(server) == VCHAN_WAITING || vchan_state(client) == VCHAN_WAITING) {
		struct pollfd fds[2] = {{.fd = vchan_fd(server), .events = POLLIN},
		                        {.fd = vchan_fd(client), .events = POLLIN}};

		assert_true(poll(fds, 2, LIMIT_MS) > 0);
		(void)vchan_step(server);
		(void)vchan_step(client);
	}
	/* What the rendezvous left behind. */
	while (has_event(server, 0))
		(void)vchan_step(server);
	while (has_event(client, 0))
		(void)vchan_step(client);
	return 0;
}

static int close_both(void **state)
{
	server = vchan_close(server);
	client = vchan_close(client);
	return 0;
}

static void fill_up(struct vchan *vchan)
{
	static char piece[16384];

	while (vchan_write(vchan, piece, sizeof(piece)) > 0)
		continue;
	(void)vchan_writable(vchan, RING);
}

/* A caller who cannot read yet looks for room at every event: that must not make the next event. */
static void test_full_with_bytes_unread(void **state)
{
	unsigned int events = 0;

	assert_int_equal(vchan_write(server, "unread", 6), 6);
	fill_up(client);
	while (events < 100 && has_event(client, 0)) {
		(void)vchan_step(client);
		(void)vchan_writable(client, RING);
		events++;
	}
	assert_true(events < 5);
	assert_int_equal(vchan_readable(client, 1), 6);
}

/* The room that was asked for comes, whatever was looked at in between. */
static void test_room_is_told(void **state)
{
	static char taken[16384];
	size_t room;

	fill_up(client);
	(void)vchan_writable(client, RING);
	assert_false(has_event(client, 0));
	while (vchan_read(server, taken, sizeof(taken)) > 0)
		continue;
	assert_true(has_event(client, LIMIT_MS));
	(void)vchan_step(client);
	room = vchan_writable(client, RING);
	assert_true(room >= RING);
}

static void put_length(void *arg, uint8_t *head, size_t len)
{
	(*(int *)arg)++;
	le32_put(head, 0x11223344);
	le32_put(head + 4, (uint32_t)len);
}

static void take_message(const char *sent, size_t len)
{
	static uint8_t got[RING];

	assert_int_equal(vchan_readable(server, 8 + len), 8 + len);
	assert_int_equal(vchan_read(server, got, sizeof(got)), 8 + len);
	assert_int_equal(le32_get(got), 0x11223344);
	assert_int_equal(le32_get(got + 4), len);
	assert_memory_equal(got + 8, sent, len);
}

static void test_message_from_fd(void **state)
{
	static char data[50000];
	int heads = 0;
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(vchan_message_from_fd(client, fds[0], 8, 100, put_length, &heads), -1);
	if (transport == VCHAN_SOCKET) {
		assert_int_equal(errno, EOPNOTSUPP);
		(void)close(fds[0]);
		(void)close(fds[1]);
		return;
	}
	assert_int_equal(errno, EAGAIN);
	/* 20 odd messages go round the ring some times, so heads and bodies are cut at its end. */
	for (size_t i = 0; i < 20; i++) {
		size_t len = sizeof(data) - 1777 * i;

		memset(data, (int)('a' + i), sizeof(data));
		assert_int_equal(write(fds[1], data, len), len);
		assert_int_equal(vchan_message_from_fd(client, fds[0], 8, RING - 8, put_length,
		                                       &heads),
		                 len);
		take_message(data, len);
	}
	assert_int_equal(heads, 20);
	/* Neither the end of the descriptor nor a full channel leaves half a message behind. */
	(void)close(fds[1]);
	assert_int_equal(vchan_message_from_fd(client, fds[0], 8, 100, put_length, &heads), 0);
	fill_up(client);
	assert_int_equal(vchan_message_from_fd(client, fds[0], 8, 100, put_length, &heads), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(heads, 20);
	(void)close(fds[0]);
}

/* A patient reader wakes a writer who waits once half is free, not before, and not never. */
static void test_patient(void **state)
{
	static char taken[RING / 2];
	size_t least = transport == VCHAN_MEMFD ? RING / 2 : 1;

	vchan_set_patient(server);
	fill_up(client);
	while (has_event(client, 0))
		(void)vchan_step(client);
	(void)vchan_writable(client, RING);
	if (transport == VCHAN_MEMFD) {
		assert_int_equal(vchan_read(server, taken, RING / 4), RING / 4);
		assert_false(has_event(client, 0));
	}
	while (!has_event(client, 0))
		assert_true(vchan_read(server, taken, RING / 4) > 0);
	(void)vchan_step(client);
	assert_true(vchan_writable(client, 1) >= least);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        {"full, with bytes unread", test_full_with_bytes_unread, open_both, close_both,
	         NULL},
	        {"room is told of", test_room_is_told, open_both, close_both, NULL},
	        {"a message from a descriptor", test_message_from_fd, open_both, close_both, NULL},
	        {"a patient reader", test_patient, open_both, close_both, NULL},
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
