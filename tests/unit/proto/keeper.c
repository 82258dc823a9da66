/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets between keeper and slice. If one of these failed, a slice that its qube took over could hand
 * its keeper a name, a port or a length that the keeper would use. Every row of every table is one
 * legal packet with exactly one thing wrong.
 */
#include "proto/keeper.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint8_t packet[KEEPER_PACKET_MAX + 2];
static size_t packet_len;

/* One change to a legal packet: bytes set to value, then cut or lengthened by more. */
struct change {
	const char *what;
	size_t at;
	size_t n;
	uint8_t value;
	int more;
	const char *bytes; /* instead of n times value */
};

typedef int (*decoder)(void);

static void apply(const struct change *c)
{
	if (c->bytes)
		memcpy(packet + c->at, c->bytes, c->n);
	else
		memset(packet + c->at, c->value, c->n);
	packet_len = (size_t)((ssize_t)packet_len + c->more);
}

/* The legal packet is accepted, each change of it is not. */
static void breaks(void (*legal)(void), decoder decode, const struct change *rows, size_t n)
{
	legal();
	assert_int_equal(decode(), 0);
	for (size_t i = 0; i < n; i++) {
		legal();
		apply(&rows[i]);
		if (decode() == 0)
			fail_msg("accepted: %s", rows[i].what);
	}
	/* Every shorter packet, and one of another kind. */
	legal();
	for (size_t whole = packet_len; packet_len > 0; packet_len--) {
		if (packet_len < whole && decode() == 0)
			fail_msg("accepted: %zu of %zu bytes", packet_len, whole);
	}
	legal();
	packet[0] ^= 0x40;
	assert_int_equal(decode(), -1);
}

static void stays_legal(void (*legal)(void), decoder decode, const struct change *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		legal();
		apply(&rows[i]);
		if (decode())
			fail_msg("refused: %s", rows[i].what);
	}
}

static void sealed(ssize_t len)
{
	assert_true(len > 0);
	packet_len = (size_t)len;
}

/* START. */

static void legal_start(void)
{
	struct keeper_start start = {.domain = 7, .transport = 1, .n_fds = 1, .has_trace = 1};

	sealed(keeper_encode_start(packet, sizeof(packet), &start));
}

static int decode_start(void)
{
	struct keeper_start start;

	return keeper_decode_start(packet, packet_len, &start);
}

static void test_start(void **state)
{
	static const struct change rows[] = {
	        {"is_server 2", 12, 1, 2, 0, NULL},        {"no descriptor", 28, 1, 0, 0, NULL},
	        {"five descriptors", 28, 1, 5, 0, NULL},   {"2^24 descriptors", 31, 1, 1, 0, NULL},
	        {"has_trace 2", 32, 1, 2, 0, NULL},        {"a byte more", 0, 0, 0, 1, NULL},
	        {"is_server in byte 3", 15, 1, 1, 0, NULL}};

	(void)state;
	breaks(legal_start, decode_start, rows, ARRAY_LEN(rows));
}

/* COMMAND. */

static void legal_command(void)
{
	struct keeper_command command = {.type = QREXEC_EXEC_CMDLINE,
	                                 .domain = 7,
	                                 .port = 513,
	                                 .command_len = 5,
	                                 .command = "u:ab"};

	sealed(keeper_encode_command(packet, sizeof(packet), &command));
}

static int decode_command(void)
{
	struct keeper_command command;

	return keeper_decode_command(packet, packet_len, &command);
}

static void test_command(void **state)
{
	static const struct change rows[] = {{"SERVICE_REFUSED", 4, 1, 0x03, 0, NULL},
	                                     {"type 0x1ff", 4, 2, 0, 0, "\xff\x01"},
	                                     {"port 512", 12, 2, 0, 0, "\x00\x02"},
	                                     {"port 769", 12, 2, 0, 0, "\x01\x03"},
	                                     {"port 0", 12, 2, 0, 0, NULL},
	                                     {"no final NUL", 32, 1, 'x', 0, NULL},
	                                     {"length 0", 24, 1, 0, -5, NULL},
	                                     {"length too small", 24, 1, 4, 0, NULL},
	                                     {"length too large", 24, 1, 6, 0, NULL},
	                                     {"length 2^32-1", 24, 4, 0xff, 0, NULL},
	                                     {"a byte more", 0, 0, 0, 1, NULL}};
	static const struct change fine[] = {
	        {"JUST_EXEC", 4, 1, 0x01, 0, NULL},
	        {"SERVICE_CONNECT", 4, 1, 0x02, 0, NULL},
	        {"port 768", 12, 2, 0, 0, "\x00\x03"},
	        {"a NUL inside", 29, 1, 0, 0, NULL},
	};

	(void)state;
	breaks(legal_command, decode_command, rows, ARRAY_LEN(rows));
	stays_legal(legal_command, decode_command, fine, ARRAY_LEN(fine));
}

static void test_longest_command(void **state)
{
	static char text[KEEPER_COMMAND_MAX + 1];
	struct keeper_command command = {.type = QREXEC_JUST_EXEC,
	                                 .port = 768,
	                                 .command_len = KEEPER_COMMAND_MAX,
	                                 .command = text};

	(void)state;
	assert_int_equal(keeper_encode_command(packet, sizeof(packet), &command),
	                 KEEPER_PACKET_MAX);
	packet_len = KEEPER_PACKET_MAX;
	assert_int_equal(decode_command(), 0);
	command.command_len++;
	assert_int_equal(keeper_encode_command(packet, sizeof(packet), &command), -1);
}

/* REFUSE, OPEN, TERMINATED, END. */

static void legal_refuse(void)
{
	struct keeper_refuse refuse = {.call = 1};

	memset(refuse.ident, 0xff, sizeof(refuse.ident)); /* any bytes: they are the qube's own */
	sealed(keeper_encode_refuse(packet, sizeof(packet), &refuse));
}

static int decode_refuse(void)
{
	struct keeper_refuse refuse;

	return keeper_decode_refuse(packet, packet_len, &refuse);
}

static void legal_open(void)
{
	sealed(keeper_encode_open(packet, sizeof(packet), 3));
}

static int decode_open(void)
{
	uint32_t version;

	return keeper_decode_open(packet, packet_len, &version);
}

static void legal_terminated(void)
{
	struct keeper_terminated message = {.domain = 9, .port = 514};

	sealed(keeper_encode_terminated(packet, sizeof(packet), &message));
}

static int decode_terminated(void)
{
	struct keeper_terminated message;

	return keeper_decode_terminated(packet, packet_len, &message);
}

static void legal_end(void)
{
	sealed(keeper_encode_end(packet, sizeof(packet), KEEPER_END_CLOSED));
}

static int decode_end(void)
{
	enum keeper_end reason;

	return keeper_decode_end(packet, packet_len, &reason);
}

static void test_short_ones(void **state)
{
	static const struct change longer[] = {{"a byte more", 0, 0, 0, 1, NULL}};
	static const struct change versions[] = {{"version 1", 4, 1, 1, 0, NULL},
	                                         {"version 5", 4, 1, 5, 0, NULL},
	                                         {"version 2^24+3", 7, 1, 1, 0, NULL},
	                                         {"a byte more", 0, 0, 0, 1, NULL}};
	static const struct change ports[] = {{"port 512", 8, 2, 0, 0, "\x00\x02"},
	                                      {"port 769", 8, 2, 0, 0, "\x01\x03"},
	                                      {"port 2^24+514", 11, 1, 1, 0, NULL},
	                                      {"a byte more", 0, 0, 0, 1, NULL}};
	static const struct change reasons[] = {{"reason 0", 4, 1, 0, 0, NULL},
	                                        {"reason 4", 4, 1, 4, 0, NULL},
	                                        {"reason 2^32-1", 4, 4, 0xff, 0, NULL},
	                                        {"a byte more", 0, 0, 0, 1, NULL}};

	(void)state;
	breaks(legal_refuse, decode_refuse, longer, ARRAY_LEN(longer));
	breaks(legal_open, decode_open, versions, ARRAY_LEN(versions));
	breaks(legal_terminated, decode_terminated, ports, ARRAY_LEN(ports));
	breaks(legal_end, decode_end, reasons, ARRAY_LEN(reasons));
}

/* REQUEST. */

static void legal_request(void)
{
	struct keeper_request request = {
	        .serial = 1,
	        .has_source = 1,
	        .ident = "SOCKET7",
	        .source = "far",
	        .target = "vmb",
	        .name_len = 5,
	        .name = "a.B+c",
	};

	sealed(keeper_encode_request(packet, sizeof(packet), &request));
}

static int decode_request(void)
{
	struct keeper_request request;

	return keeper_decode_request(packet, packet_len, &request);
}

static void test_request(void **state)
{
	static const struct change rows[] = {
	        {"has_source 2", 8, 1, 2, 0, NULL},
	        {"a source without has_source", 8, 1, 0, 0, NULL},
	        {"ident without NUL", 12, 32, 'a', 0, NULL},
	        {"ident, a byte after its NUL", 43, 1, 'a', 0, NULL},
	        {"ident, a slash", 13, 1, '/', 0, NULL},
	        {"ident, a newline", 13, 1, '\n', 0, NULL},
	        {"source without NUL", 44, 64, 'a', 0, NULL},
	        {"source, a byte after its NUL", 107, 1, 'a', 0, NULL},
	        {"source, a newline", 45, 1, '\n', 0, NULL},
	        {"source, a space", 45, 1, ' ', 0, NULL},
	        {"target without NUL", 108, 64, 'a', 0, NULL},
	        {"target, a byte after its NUL", 171, 1, 'a', 0, NULL},
	        {"target, a dollar", 108, 1, '$', 0, NULL},
	        {"target, a slash", 108, 1, '/', 0, NULL},
	        {"name length 0", 172, 1, 0, -5, NULL},
	        {"name length too small", 172, 1, 4, 0, NULL},
	        {"name length too large", 172, 1, 6, 0, NULL},
	        {"name length 65000", 172, 2, 0, 0, "\xe8\xfd"},
	        {"name length 2^32-1", 172, 4, 0xff, 0, NULL},
	        {"unused byte set", 176, 1, 1, 0, NULL},
	        {"last unused byte set", 179, 1, 1, 0, NULL},
	        {"name begins with a plus", 180, 1, '+', 0, NULL},
	        {"name, a NUL inside", 181, 1, 0, 0, NULL},
	        {"name, a space", 181, 1, ' ', 0, NULL},
	        {"name, a slash", 181, 1, '/', 0, NULL},
	        {"name, a colon", 181, 1, ':', 0, NULL},
	        {"name, a high byte", 181, 1, 0xc3, 0, NULL},
	        {"name without its NUL", 185, 1, 'x', 0, NULL},
	        {"a byte more", 0, 0, 0, 1, NULL},
	};
	static const struct change fine[] = {
	        {"no ident", 12, 32, 0, 0, NULL},     {"no source", 44, 64, 0, 0, NULL},
	        {"no target", 108, 64, 0, 0, NULL},   {"a keyword", 108, 1, '@', 0, NULL},
	        {"two pluses", 181, 1, '+', 0, NULL},
	};

	(void)state;
	breaks(legal_request, decode_request, rows, ARRAY_LEN(rows));
	stays_legal(legal_request, decode_request, fine, ARRAY_LEN(fine));
}

static void test_longest_request(void **state)
{
	static char name[QREXEC_NAME_MAX + 1];
	struct keeper_request request = {.name_len = QREXEC_NAME_MAX - 1, .name = name};

	(void)state;
	memset(name, 'a', QREXEC_NAME_MAX - 1);
	sealed(keeper_encode_request(packet, sizeof(packet), &request));
	assert_int_equal(decode_request(), 0);
	name[QREXEC_NAME_MAX - 1] = 'a';
	request.name_len++;
	assert_int_equal(keeper_encode_request(packet, sizeof(packet), &request), -1);
}

/* An encoder never writes past its room. */
static void test_no_room(void **state)
{
	uint8_t small[KEEPER_REQUEST_LEN + 6];
	struct keeper_request request = {.name_len = 5, .name = "a.B+c"};

	(void)state;
	for (size_t room = 0; room < sizeof(small); room++) {
		memset(small, 0xa5, sizeof(small));
		assert_int_equal(keeper_encode_request(small, room, &request), -1);
		for (size_t i = room; i < sizeof(small); i++)
			assert_int_equal(small[i], 0xa5);
	}
	assert_int_equal(keeper_encode_request(small, sizeof(small), &request), sizeof(small));
}

static void test_kind(void **state)
{
	(void)state;
	legal_end();
	assert_int_equal(keeper_kind(packet, packet_len), KEEPER_END);
	for (size_t len = 0; len < 4; len++)
		assert_int_equal(keeper_kind(packet, len), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_start),           cmocka_unit_test(test_command),
	        cmocka_unit_test(test_longest_command), cmocka_unit_test(test_short_ones),
	        cmocka_unit_test(test_request),         cmocka_unit_test(test_longest_request),
	        cmocka_unit_test(test_no_room),         cmocka_unit_test(test_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
