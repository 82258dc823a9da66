/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a message in pieces, or one that waits for room, would be lost, doubled or
 * read past its end, and a call would hang. doc/protocol/qrexec.md, 6.5 and cases 20 to 28.
 */
#include "slices/qrexec/slice.h"

#include <string.h>

#include "tests/unit/slices/fake_vchan.h"
#include "tests/unit/unit.h"

static struct slice slice;
static struct vchan channel;
static uint8_t bytes[400000];
static size_t n_bytes;
static uint8_t packets[8][KEEPER_REQUEST_LEN + QREXEC_NAME_MAX];
static size_t packet_len[8];
static size_t n_packets;
static int full; /* the keeper takes nothing */

static int take_packet(void *arg, const void *data, size_t len)
{
	(void)arg;
	if (full)
		return 1;
	assert_in_range(n_packets, 0, 7);
	memcpy(packets[n_packets], data, len);
	packet_len[n_packets++] = len;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	log_set_fd(-1);
	memset(&slice, 0, sizeof(slice));
	memset(&channel, 0, sizeof(channel));
	slice.vchan = &channel;
	slice.domain = 42;
	slice.send = take_packet;
	slice.log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	channel.in = bytes;
	channel.room = sizeof(channel.out);
	n_bytes = 0;
	n_packets = 0;
	full = 0;
	return 0;
}

static void add(const void *data, size_t len)
{
	memcpy(bytes + n_bytes, data, len);
	n_bytes += len;
	channel.in_len = n_bytes;
}

static void add_message(uint32_t type, const void *body, size_t len)
{
	uint8_t header[QREXEC_HEADER_LEN];

	qrexec_encode_header(header, type, (uint32_t)len);
	add(header, sizeof(header));
	add(body, len);
}

static void add_hello(uint32_t version)
{
	uint8_t hello[QREXEC_HELLO_MESSAGE_LEN];

	qrexec_encode_hello(hello, version);
	add(hello, sizeof(hello));
}

static void add_trigger(const char *ident, const char *name, size_t name_len)
{
	static uint8_t body[QREXEC_BODY_MAX];

	assert_int_equal(qrexec_encode_trigger4(body, "", "target", ident), QREXEC_OK);
	memcpy(body + QREXEC_TRIGGER4_LEN, name, name_len);
	add_message(QREXEC_TRIGGER_SERVICE4, body, QREXEC_TRIGGER4_LEN + name_len);
}

static void run(void)
{
	for (int i = 0; i < 100000 && channel.in_at < channel.in_len; i++)
		assert_int_equal(slice_agent(&slice), SLICE_ON);
}

static void test_hello_is_answered_with_the_smaller_version(void **state)
{
	uint8_t wanted[QREXEC_HELLO_MESSAGE_LEN];
	uint32_t version = 0;

	(void)state;
	add_hello(99);
	assert_int_equal(slice_agent(&slice), SLICE_ON);
	qrexec_encode_hello(wanted, 4);
	assert_int_equal(channel.out_len, sizeof(wanted));
	assert_memory_equal(channel.out, wanted, sizeof(wanted));
	assert_int_equal(keeper_decode_open(packets[0], packet_len[0], &version), 0);
	assert_int_equal(version, 4);
}

static void test_what_is_no_hello_ends_it(void **state)
{
	static const struct {
		uint32_t type;
		uint32_t len;
		uint32_t version;
	} rows[] = {{QREXEC_HELLO, 4, 0}, {QREXEC_HELLO, 4, 1}, {0x301, 4, 4},
	            {QREXEC_HELLO, 0, 4}, {QREXEC_HELLO, 8, 4}, {QREXEC_TRIGGER_SERVICE4, 161, 4}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t body[8] = {(uint8_t)rows[i].version};

		(void)set_up(state);
		add_message(rows[i].type, body, MIN(rows[i].len, sizeof(body)));
		assert_int_equal(slice_agent(&slice), SLICE_BAD_HELLO);
		assert_int_equal(n_packets, 0);
	}
}

/* Cut after every n bytes, all messages come out whole and in order. */
static void test_messages_may_come_in_any_pieces(void **state)
{
	static const uint8_t terminated[8] = {43, 0, 0, 0, 2, 2, 0, 0};

	for (size_t piece = 1; piece < 60; piece++) {
		struct keeper_request request;
		struct keeper_terminated end;

		(void)set_up(state);
		channel.piece = piece;
		add_hello(4);
		add_trigger("SOCKET1", "service", 8);
		add_message(QREXEC_CONNECTION_TERMINATED, terminated, sizeof(terminated));
		add_trigger("SOCKET2", "service+x", 10);
		run();
		assert_int_equal(n_packets, 4);
		assert_int_equal(keeper_decode_request(packets[1], packet_len[1], &request), 0);
		assert_string_equal(request.name, "service");
		assert_int_equal(keeper_decode_terminated(packets[2], packet_len[2], &end), 0);
		assert_int_equal(end.port, 514);
		assert_int_equal(keeper_decode_request(packets[3], packet_len[3], &request), 0);
		assert_string_equal(request.name, "service+x");
		assert_false(slice.in_partial);
	}
}

static void test_the_longest_name_passes_and_one_more_byte_does_not(void **state)
{
	static char name[QREXEC_NAME_MAX + 1];
	struct keeper_request request;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[QREXEC_NAME_MAX - 1] = '\0';
	add_hello(4);
	add_trigger("SOCKET1", name, QREXEC_NAME_MAX);
	run();
	assert_int_equal(keeper_decode_request(packets[1], packet_len[1], &request), 0);
	assert_int_equal(request.name_len, QREXEC_NAME_MAX - 1);
	add_message(QREXEC_TRIGGER_SERVICE4, name, 160);
	assert_int_equal(slice_agent(&slice), SLICE_BROKEN);
}

static void test_a_partial_message_is_known_as_such(void **state)
{
	(void)state;
	add_hello(4);
	run();
	assert_false(slice.in_partial);
	add("\x13\x02", 2);
	run();
	assert_true(slice.in_partial);
}

static void test_a_full_keeper_stops_the_reading_until_it_takes(void **state)
{
	(void)state;
	add_hello(4);
	run();
	full = 1;
	add_trigger("SOCKET1", "a", 2);
	add_trigger("SOCKET2", "b", 2);
	for (int i = 0; i < 10; i++)
		assert_int_equal(slice_agent(&slice), SLICE_ON);
	assert_int_equal(n_packets, 1);
	full = 0;
	assert_int_equal(slice_agent(&slice), SLICE_ON);
	assert_int_equal(n_packets, 3);
}

static size_t put_command(const char *text)
{
	struct keeper_command command = {
	        .type = QREXEC_EXEC_CMDLINE,
	        .domain = 43,
	        .port = 514,
	        .command = text,
	        .command_len = (uint32_t)strlen(text) + 1,
	};
	ssize_t n = keeper_encode_command(slice.down, sizeof(slice.down), &command);

	assert_true(n > 0);
	return (size_t)n;
}

/* One byte of room at a time: the agent gets the message whole and once. */
static void test_a_command_leaves_in_pieces(void **state)
{
	struct qrexec_header header;
	struct qrexec_exec exec = {0};

	(void)state;
	add_hello(4);
	run();
	channel.out_len = 0;
	channel.room = 0;
	assert_true(slice_can_take(&slice));
	assert_int_equal(slice_down(&slice, put_command("user:QUBESRPC a+ b")), SLICE_ON);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(slice_can_take(&slice), i >= 8 + 8 + 19);
		channel.room = 1;
		assert_int_equal(slice_flush(&slice), SLICE_ON);
	}
	assert_int_equal(channel.out_len, 8 + 8 + 19);
	header = qrexec_decode_header(channel.out);
	assert_int_equal(qrexec_decode_exec(&header, channel.out + 8, &exec), QREXEC_OK);
	assert_int_equal(exec.domain, 43);
	assert_int_equal(exec.port, 514);
	assert_string_equal(exec.command, "user:QUBESRPC a+ b");
}

/* A refusal of the slice's own does not get into the middle of a command. */
static void test_a_refusal_waits_for_the_command_before_it(void **state)
{
	(void)state;
	add_hello(4);
	run();
	channel.out_len = 0;
	channel.room = 10;
	assert_int_equal(slice_down(&slice, put_command("user:x")), SLICE_ON);
	add_trigger("SOCKET1", "+bad", 5);
	assert_int_equal(slice_agent(&slice), SLICE_ON);
	assert_int_equal(channel.out_len, 10);
	channel.room = 1000;
	assert_int_equal(slice_agent(&slice), SLICE_ON);
	assert_int_equal(channel.out_len, 8 + 8 + 7 + 8 + 32);
	assert_int_equal(qrexec_decode_header(channel.out + 23).type, QREXEC_SERVICE_REFUSED);
	assert_memory_equal(channel.out + 31, "SOCKET1", 8);
}

static void test_nonsense_of_the_keeper_ends_it(void **state)
{
	(void)state;
	add_hello(4);
	run();
	memset(slice.down, 0, 100);
	assert_int_equal(slice_down(&slice, 0), SLICE_ORPHANED);
	assert_int_equal(slice_down(&slice, 3), SLICE_ORPHANED);
	assert_int_equal(slice_down(&slice, 100), SLICE_ORPHANED);
	assert_int_equal(slice_down(&slice, put_command("x") - 1), SLICE_ORPHANED);
}

static void test_the_end_of_the_channel_is_noticed_after_its_last_message(void **state)
{
	(void)state;
	add_hello(4);
	add_trigger("SOCKET1", "a", 2);
	channel.closed = true;
	assert_int_equal(slice_agent(&slice), SLICE_CLOSED);
	assert_int_equal(n_packets, 2);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_hello_is_answered_with_the_smaller_version),
	        TEST(test_what_is_no_hello_ends_it),
	        TEST(test_messages_may_come_in_any_pieces),
	        TEST(test_the_longest_name_passes_and_one_more_byte_does_not),
	        TEST(test_a_partial_message_is_known_as_such),
	        TEST(test_a_full_keeper_stops_the_reading_until_it_takes),
	        TEST(test_a_command_leaves_in_pieces),
	        TEST(test_a_refusal_waits_for_the_command_before_it),
	        TEST(test_nonsense_of_the_keeper_ends_it),
	        TEST(test_the_end_of_the_channel_is_noticed_after_its_last_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
