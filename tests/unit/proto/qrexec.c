/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a qube could send the trusted side a message that it takes for another
 * one, reads past its end, or passes on with characters that a policy or a command line gives a
 * meaning. Conformance cases 20 to 31 of doc/protocol/qrexec.md, 16, at the level of the decoder.
 */
#include "proto/qrexec.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

static struct qrexec_trigger out;
static uint8_t body[QREXEC_BODY_MAX];

/* A whole agent message whose body is in @body. */
static enum qrexec_error receive(uint32_t type, size_t len)
{
	const struct qrexec_header header = {.type = type, .len = (uint32_t)len};
	/* A copy of exactly len bytes: a sanitizer sees each read past the end. */
	uint8_t *copy = malloc(len);
	enum qrexec_error r;

	assert_non_null(copy);
	memcpy(copy, body, len);
	memset(&out, 0xaa, sizeof(out));
	r = qrexec_decode_trigger(&header, copy, &out);
	free(copy);
	return r;
}

/* TRIGGER_SERVICE4 with these fields; @name_len bytes of @name as they are. */
static enum qrexec_error receive4(const char *target, const void *ident, size_t ident_len,
                                  const void *name, size_t name_len)
{
	memset(body, 0, sizeof(body));
	memcpy(body + 64, target, strlen(target));
	memcpy(body + 128, ident, ident_len);
	memcpy(body + 160, name, name_len);
	return receive(QREXEC_TRIGGER_SERVICE4, 160 + name_len);
}

static enum qrexec_error receive2(const void *name, size_t name_len)
{
	memset(body, 0, sizeof(body));
	memcpy(body, name, name_len);
	memcpy(body + 64, "target", 6);
	memcpy(body + 96, "SOCKET1", 7);
	return receive(QREXEC_TRIGGER_SERVICE, 128);
}

static void test_character_classes_hold_exactly_what_is_listed(void **state)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789_-.";

	(void)state;
	for (int c = -128; c < 128; c++) {
		bool is_plain = c > 0 && memchr(plain, c, sizeof(plain) - 1);

		assert_int_equal(qrexec_name_char((char)c), is_plain || c == '+');
		assert_int_equal(qrexec_target_char((char)c), is_plain || c == '@' || c == ':');
		assert_int_equal(qrexec_ident_char((char)c), is_plain || c == ' ');
	}
}

static void test_ports(void **state)
{
	static const struct {
		uint32_t port;
		bool legal;
	} rows[] = {{0, false},  {511, false}, {512, false}, {513, true},      {514, true},
	            {767, true}, {768, true},  {769, false}, {0x10201, false}, {UINT32_MAX, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(qrexec_port_legal(rows[i].port), rows[i].legal);
}

static void test_header_is_little_endian(void **state)
{
	static const uint8_t bytes[8] = {0x10, 0x02, 0, 0, 0x80, 0x01, 0, 0xff};
	struct qrexec_header header = qrexec_decode_header(bytes);
	uint8_t again[8];

	(void)state;
	assert_int_equal(header.type, QREXEC_TRIGGER_SERVICE);
	assert_true(header.len == 0xff000180);
	memset(again, 0xaa, sizeof(again));
	qrexec_encode_header(again, header.type, header.len);
	assert_memory_equal(again, bytes, 8);
}

/* qrexec-001, 020, 021, 029 */
static void test_hello(void **state)
{
	static const struct {
		uint32_t type, len, version, min;
		enum qrexec_error want;
	} rows[] = {
	        {0x300, 4, 2, 2, QREXEC_OK},        {0x300, 4, 4, 2, QREXEC_OK},
	        {0x300, 4, 99, 2, QREXEC_OK},       {0x300, 4, UINT32_MAX, 2, QREXEC_OK},
	        {0x300, 4, 0, 2, QREXEC_E_VERSION}, {0x300, 4, 1, 2, QREXEC_E_VERSION},
	        {0x301, 4, 4, 2, QREXEC_E_TYPE},    {0x2ff, 4, 4, 2, QREXEC_E_TYPE},
	        {0x300, 0, 4, 2, QREXEC_E_LENGTH},  {0x300, 3, 4, 2, QREXEC_E_LENGTH},
	        {0x300, 5, 4, 2, QREXEC_E_LENGTH},  {0x300, 8, 4, 2, QREXEC_E_LENGTH},
	        {0x300, 4, 0, 3, QREXEC_E_VERSION}, {0x300, 4, 2, 3, QREXEC_E_VERSION},
	        {0x300, 4, 3, 3, QREXEC_OK},        {0x300, 4, 99, 3, QREXEC_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct qrexec_header header = {rows[i].type, rows[i].len};
		uint32_t version = 12345;
		uint8_t hello[4];

		le32_put(hello, rows[i].version);
		assert_int_equal(qrexec_decode_hello(&header, hello, rows[i].min, &version),
		                 rows[i].want);
		assert_true(version == (rows[i].want == QREXEC_OK ? rows[i].version : 12345));
	}
}

static void test_hello_is_twelve_bytes(void **state)
{
	uint8_t hello[QREXEC_HELLO_MESSAGE_LEN];

	(void)state;
	memset(hello, 0xaa, sizeof(hello));
	qrexec_encode_hello(hello, 4);
	assert_int_equal(sizeof(hello), 12);
	assert_memory_equal(hello, "\0\3\0\0\4\0\0\0\4\0\0\0", 12);
}

/* qrexec-022, qrexec-024, QSB-089: each length around each bound, each type at each version. */
static void test_agent_header(void **state)
{
	static const struct {
		uint32_t type, version, len;
		enum qrexec_error want;
	} rows[] = {
	        {0x210, 2, 127, QREXEC_E_LENGTH},
	        {0x210, 2, 128, QREXEC_OK},
	        {0x210, 2, 129, QREXEC_E_LENGTH},
	        {0x210, 2, 0, QREXEC_E_LENGTH},
	        {0x210, 3, 128, QREXEC_E_TYPE},
	        {0x210, 4, 128, QREXEC_E_TYPE},
	        {0x212, 3, 0, QREXEC_E_LENGTH},
	        {0x212, 3, 95, QREXEC_E_LENGTH},
	        {0x212, 3, 96, QREXEC_E_LENGTH},
	        {0x212, 3, 97, QREXEC_OK},
	        {0x212, 4, 97, QREXEC_OK},
	        {0x212, 2, 97, QREXEC_E_TYPE},
	        {0x212, 3, 96 + 64999, QREXEC_OK},
	        {0x212, 3, 96 + 65000, QREXEC_OK},
	        {0x212, 3, 96 + 65001, QREXEC_E_LENGTH},
	        {0x212, 3, UINT32_MAX, QREXEC_E_LENGTH},
	        {0x213, 4, 0, QREXEC_E_LENGTH},
	        {0x213, 4, 96, QREXEC_E_LENGTH},
	        {0x213, 4, 159, QREXEC_E_LENGTH},
	        {0x213, 4, 160, QREXEC_E_LENGTH},
	        {0x213, 4, 161, QREXEC_OK},
	        {0x213, 3, 161, QREXEC_E_TYPE},
	        {0x213, 2, 161, QREXEC_E_TYPE},
	        {0x213, 4, 160 + 65000, QREXEC_OK},
	        {0x213, 4, 160 + 65001, QREXEC_E_LENGTH},
	        {0x213, 4, UINT32_MAX, QREXEC_E_LENGTH},
	        {0x211, 4, 8, QREXEC_OK},
	        {0x211, 4, 7, QREXEC_E_LENGTH},
	        {0x211, 4, 9, QREXEC_E_LENGTH},
	        {0x211, 4, 12, QREXEC_E_LENGTH},
	        {0x211, 2, 8, QREXEC_OK},
	        {0x300, 4, 4, QREXEC_E_TYPE},
	        {0x200, 4, 9, QREXEC_E_TYPE},
	        {0x201, 4, 9, QREXEC_E_TYPE},
	        {0x202, 4, 9, QREXEC_E_TYPE},
	        {0x203, 4, 32, QREXEC_E_TYPE},
	        {0x190, 4, 0, QREXEC_E_TYPE},
	        {0x191, 4, 0, QREXEC_E_TYPE},
	        {0x192, 4, 0, QREXEC_E_TYPE},
	        {0x193, 4, 4, QREXEC_E_TYPE},
	        {0x214, 4, 161, QREXEC_E_TYPE},
	        {0, 4, 0, QREXEC_E_TYPE},
	        {UINT32_MAX, 4, 0, QREXEC_E_TYPE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct qrexec_header header = {rows[i].type, rows[i].len};

		if (qrexec_check_agent_header(&header, rows[i].version) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

/* What passes the header check fits in a body buffer. */
static void test_no_legal_body_is_larger_than_the_bound(void **state)
{
	static const uint32_t types[] = {0x210, 0x211, 0x212, 0x213};

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (uint32_t version = 2; version <= 4; version++) {
			for (uint32_t len = QREXEC_BODY_MAX + 1; len < QREXEC_BODY_MAX + 1000;
			     len++) {
				const struct qrexec_header header = {types[t], len};

				assert_int_not_equal(qrexec_check_agent_header(&header, version),
				                     QREXEC_OK);
			}
		}
	}
}

/* qrexec-003, 004, 005, 027 */
static void test_ident(void **state)
{
	static const char a31[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const struct {
		const char *ident;
		size_t len;
		enum qrexec_error want;
	} rows[] = {
	        {"SOCKET42", 8, QREXEC_OK},
	        {"", 0, QREXEC_OK},
	        {"a b_c-d.E0", 10, QREXEC_OK},
	        {a31, 31, QREXEC_OK},
	        {"\1\2\3", 3, QREXEC_E_IDENT},
	        {"a\0b", 3, QREXEC_E_IDENT},
	        {"a/b", 3, QREXEC_E_IDENT},
	        {"a+b", 3, QREXEC_E_IDENT},
	        {"a\xff", 2, QREXEC_E_IDENT},
	        {"\0a", 2, QREXEC_E_IDENT},
	        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32, QREXEC_E_IDENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t want[QREXEC_IDENT_LEN] = {0};

		memcpy(want, rows[i].ident, rows[i].len);
		if (receive4("t", rows[i].ident, rows[i].len, "a", 2) != rows[i].want)
			fail_msg("row %zu", i);
		/* A refusal needs the bytes as they came. */
		assert_memory_equal(out.ident, want, QREXEC_IDENT_LEN);
	}
}

/* qrexec-007, 008 */
static void test_names_of_protocol_4(void **state)
{
	static const struct {
		const char *name;
		size_t len; /* with the final NUL, if it has one */
		enum qrexec_error want;
	} rows[] = {
	        {"a", 1, QREXEC_E_NAME},                              /* no NUL */
	        {"\0", 1, QREXEC_E_NAME},                             /* empty */
	        {"\0", 2, QREXEC_E_NAME},  {"a\0", 3, QREXEC_E_NAME}, /* NUL inside */
	        {"\0a", 3, QREXEC_E_NAME}, {"\0+a", 4, QREXEC_E_NAME}, {"+", 2, QREXEC_E_NAME},
	        {"+a", 3, QREXEC_E_NAME},  {"a\0a", 4, QREXEC_E_NAME}, {"a", 2, QREXEC_OK},
	        {"a+", 3, QREXEC_OK},      {"a+b", 4, QREXEC_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (receive4("t", "i", 1, rows[i].name, rows[i].len) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

/* qrexec-006 */
static void test_names_of_protocol_2(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		enum qrexec_error want;
	} rows[] = {
	        {"\0", 1, QREXEC_E_NAME},   {"", 0, QREXEC_E_NAME},  {"\0a", 2, QREXEC_E_NAME},
	        {"\0+a", 3, QREXEC_E_NAME}, {"+", 1, QREXEC_E_NAME}, {"+a", 2, QREXEC_E_NAME},
	        {"a", 1, QREXEC_OK},
	};
	char full[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(receive2(rows[i].name, rows[i].len), rows[i].want);
	memset(full, 'n', sizeof(full));
	assert_int_equal(receive2(full, 64), QREXEC_OK);
	assert_int_equal(out.name_len, 63);
	assert_int_equal(strlen(out.name), 63);
}

/* qrexec-025 */
static void test_protocol_2_is_sanitised(void **state)
{
	(void)state;
	memset(body, 0, sizeof(body));
	memcpy(body, "svc+a$b", 7);
	memcpy(body + 64, "$t;x", 4);
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE, 128), QREXEC_OK);
	assert_string_equal(out.name, "svc+a_b");
	assert_string_equal(out.target, "_t_x");
	assert_false(out.has_source);
	assert_string_equal(out.source, "");
	memset(body + 64, 't', 32);
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE, 128), QREXEC_OK);
	assert_int_equal(strlen(out.target), 31);
}

/* qrexec-024 */
static void test_protocol_3_has_no_source(void **state)
{
	(void)state;
	memset(body, 0, sizeof(body));
	memcpy(body, "target", 6);
	memcpy(body + 64, "ident", 5);
	memcpy(body + 96, "svc", 4);
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE3, 100), QREXEC_OK);
	assert_string_equal(out.target, "target");
	assert_string_equal(out.name, "svc");
	assert_false(out.has_source);
}

/* qrexec-026, 027 */
static void test_protocol_4_is_sanitised(void **state)
{
	static const char name[] = "svc+a b$c\xff/..";
	char target[65];

	(void)state;
	assert_int_equal(receive4("@disp:v m/", "i", 1, name, sizeof(name)), QREXEC_OK);
	assert_string_equal(out.target, "@disp:v_m_");
	assert_string_equal(out.name, "svc+a_b_c__..");
	assert_int_equal(out.name_len, strlen("svc+a_b_c__.."));
	assert_true(out.has_source);
	assert_string_equal(out.source, "");
	memset(target, 't', 64);
	target[64] = '\0';
	assert_int_equal(receive4(target, "i", 1, "a", 2), QREXEC_OK);
	assert_int_equal(strlen(out.target), 63);
}

static void test_claimed_source_is_sanitised(void **state)
{
	(void)state;
	memset(body, 0, sizeof(body));
	memset(body, '$', 64);
	memcpy(body + 128, "i", 1);
	memcpy(body + 160, "a", 2);
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE4, 162), QREXEC_OK);
	assert_int_equal(strlen(out.source), 63);
	assert_int_equal(strspn(out.source, "_"), 63);
}

/* qrexec-028 */
static void test_longest_name(void **state)
{
	(void)state;
	memset(body, 0, sizeof(body));
	memset(body + 160, 'n', 65000);
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE4, 160 + 65000), QREXEC_E_NAME);
	body[160 + 64999] = 0;
	assert_int_equal(receive(QREXEC_TRIGGER_SERVICE4, 160 + 65000), QREXEC_OK);
	assert_int_equal(out.name_len, 64999);
	assert_int_equal(strlen(out.name), 64999);
}

/* All 256 bytes in each text: only the listed ones pass, the others become '_'. */
static void test_every_byte_in_name_and_target(void **state)
{
	(void)state;
	for (unsigned int c = 1; c < 256; c++) {
		const char text[3] = {'x', (char)c, 0};

		assert_int_equal(receive4(text, "i", 1, text, 3), QREXEC_OK);
		assert_int_equal((unsigned char)out.name[1], qrexec_name_char((char)c) ? c : '_');
		assert_int_equal((unsigned char)out.target[1],
		                 qrexec_target_char((char)c) ? c : '_');
	}
}

/* QSB-089: a caller that skipped the header check still reads nothing past the end. */
static void test_short_bodies_are_refused_by_the_decoder_too(void **state)
{
	(void)state;
	memset(body, 0, sizeof(body));
	for (size_t len = 0; len <= 160; len++)
		assert_int_not_equal(receive(QREXEC_TRIGGER_SERVICE4, len), QREXEC_OK);
	for (size_t len = 0; len <= 96; len++)
		assert_int_not_equal(receive(QREXEC_TRIGGER_SERVICE3, len), QREXEC_OK);
	for (size_t len = 0; len <= 127; len++)
		assert_int_not_equal(receive(QREXEC_TRIGGER_SERVICE, len), QREXEC_OK);
}

/* qrexec-022, 023 */
static void test_terminated(void **state)
{
	static const struct {
		uint32_t len, port;
		enum qrexec_error want;
	} rows[] = {{8, 513, QREXEC_OK},     {8, 768, QREXEC_OK},       {8, 512, QREXEC_E_PORT},
	            {8, 769, QREXEC_E_PORT}, {7, 513, QREXEC_E_LENGTH}, {9, 513, QREXEC_E_LENGTH}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct qrexec_header header = {0x211, rows[i].len};
		uint8_t bytes[9] = {0};
		struct qrexec_exec exec = {0};

		qrexec_encode_exec(bytes, 43, rows[i].port);
		assert_int_equal(qrexec_decode_terminated(&header, bytes, &exec), rows[i].want);
		assert_int_equal(exec.domain, rows[i].want == QREXEC_OK ? 43 : 0);
		assert_int_equal(exec.port, rows[i].want == QREXEC_OK ? rows[i].port : 0);
	}
}

/* qrexec-030 */
static void test_exec_lengths(void **state)
{
	static const struct {
		uint32_t len;
		bool nul;
		enum qrexec_error want;
	} rows[] = {{0, true, QREXEC_E_LENGTH},    {7, true, QREXEC_E_LENGTH},
	            {8, true, QREXEC_E_LENGTH},    {9, true, QREXEC_OK},
	            {9, false, QREXEC_E_LENGTH},   {65534, true, QREXEC_OK},
	            {65535, true, QREXEC_OK},      {65535, false, QREXEC_E_LENGTH},
	            {65536, true, QREXEC_E_LENGTH}};
	static uint8_t bytes[65536];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct qrexec_header header = {0x200, rows[i].len};
		struct qrexec_exec exec = {0};

		memset(bytes, 'c', sizeof(bytes));
		qrexec_encode_exec(bytes, 7, 9999);
		if (rows[i].nul && rows[i].len > 8)
			bytes[rows[i].len - 1] = 0;
		assert_int_equal(qrexec_decode_exec(&header, bytes, &exec), rows[i].want);
		if (rows[i].want != QREXEC_OK)
			continue;
		assert_int_equal(exec.domain, 7);
		assert_int_equal(exec.port, 9999);
		assert_ptr_equal(exec.command, bytes + 8);
		assert_int_equal(exec.command_len, rows[i].len - 8);
	}
}

/* QSB-009: nothing of what the buffer held before goes over the wire. */
static void test_no_old_memory_in_what_is_sent(void **state)
{
	uint8_t message[QREXEC_TRIGGER4_LEN];

	(void)state;
	memset(message, 0xaa, sizeof(message));
	assert_int_equal(qrexec_encode_trigger4(message, "work", "vault", "SOCKET1"), QREXEC_OK);
	assert_null(memchr(message, 0xaa, sizeof(message)));
	assert_memory_equal(message, "work\0", 5);
	assert_memory_equal(message + 64, "vault\0", 6);
	assert_memory_equal(message + 128, "SOCKET1\0", 8);
	memset(message, 0xaa, sizeof(message));
	qrexec_encode_exec(message, 0, 0);
	assert_memory_equal(message, "\0\0\0\0\0\0\0\0\xaa", 9);
}

static void test_sent_fields_that_do_not_fit_are_refused(void **state)
{
	uint8_t message[QREXEC_TRIGGER4_LEN];
	char text[65];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_int_equal(qrexec_encode_trigger4(message, text, text, "i"), QREXEC_OK);
	text[31] = '\0';
	assert_int_equal(qrexec_encode_trigger4(message, "", "", text), QREXEC_OK);
	text[31] = 'a';
	text[32] = '\0';
	assert_int_equal(qrexec_encode_trigger4(message, "", "", text), QREXEC_E_LENGTH);
	text[32] = 'a';
	text[63] = 'a';
	text[64] = '\0';
	memset(message, 0xaa, sizeof(message));
	assert_int_equal(qrexec_encode_trigger4(message, text, "t", "i"), QREXEC_E_LENGTH);
	assert_int_equal(qrexec_encode_trigger4(message, "s", text, "i"), QREXEC_E_LENGTH);
	assert_null(memchr(message, 0xaa, sizeof(message)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_character_classes_hold_exactly_what_is_listed),
	        cmocka_unit_test(test_ports),
	        cmocka_unit_test(test_header_is_little_endian),
	        cmocka_unit_test(test_hello),
	        cmocka_unit_test(test_hello_is_twelve_bytes),
	        cmocka_unit_test(test_agent_header),
	        cmocka_unit_test(test_no_legal_body_is_larger_than_the_bound),
	        cmocka_unit_test(test_ident),
	        cmocka_unit_test(test_names_of_protocol_4),
	        cmocka_unit_test(test_names_of_protocol_2),
	        cmocka_unit_test(test_protocol_2_is_sanitised),
	        cmocka_unit_test(test_protocol_3_has_no_source),
	        cmocka_unit_test(test_protocol_4_is_sanitised),
	        cmocka_unit_test(test_claimed_source_is_sanitised),
	        cmocka_unit_test(test_longest_name),
	        cmocka_unit_test(test_every_byte_in_name_and_target),
	        cmocka_unit_test(test_short_bodies_are_refused_by_the_decoder_too),
	        cmocka_unit_test(test_terminated),
	        cmocka_unit_test(test_exec_lengths),
	        cmocka_unit_test(test_no_old_memory_in_what_is_sent),
	        cmocka_unit_test(test_sent_fields_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
