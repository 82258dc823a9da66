/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a copy that arrived well would be called damaged, or a damaged one good. */
#include "lib/crc/crc32.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* The definition, a bit at a time. */
static uint32_t by_definition(uint32_t crc, const uint8_t *p, size_t len)
{
	crc = ~crc;
	for (; len > 0; p++, len--) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
	}
	return ~crc;
}

static void test_known_values(void **state)
{
	static const uint8_t end_marker[32];

	(void)state;
	assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_update(0, end_marker, sizeof(end_marker)), 0x190a55ad);
	assert_int_equal(crc32_update(0x12345678, "", 0), 0x12345678);
}

/* Every length and alignment around the steps of the fast ways. */
static void test_every_length(void **state)
{
	static uint8_t data[2048 + 16];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (uint8_t)(seed >> 16);
	}
	for (size_t len = 0; len < 2048; len += len < 300 ? 1 : 37) {
		const uint8_t *p = data + len % 16;
		uint32_t start = (uint32_t)len * 2654435761U;
		uint32_t want = by_definition(start, p, len);

		assert_int_equal(crc32_update(start, p, len), want);
		assert_int_equal(crc32_update_by_table(start, p, len), want);
	}
}

/* In pieces of any size it is the same as in one. */
static void test_in_pieces(void **state)
{
	static uint8_t data[100000];
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 3);
	whole = crc32_update(0, data, sizeof(data));
	for (size_t piece = 1; piece < 5000; piece = piece * 2 + 1) {
		uint32_t crc = 0;

		for (size_t at = 0; at < sizeof(data); at += piece)
			crc = crc32_update(crc, data + at, MIN(piece, sizeof(data) - at));
		assert_int_equal(crc, whole);
	}
}

/* x^n mod P, as the folding wants it: reflected, shifted by one. */
static uint64_t power(unsigned int n)
{
	uint32_t r = 0x80000000U; /* x^0 */

	while (n-- > 0)
		r = r >> 1 ^ (r & 1 ? 0xEDB88320U : 0);
	return (uint64_t)r << 1;
}

static void test_folding_constants(void **state)
{
	(void)state;
	assert_true(power(1024 + 32) == 0x1e88ef372ULL && power(1024 - 32) == 0x14a7fe880ULL);
	assert_true(power(512 + 32) == 0x154442bd4ULL && power(512 - 32) == 0x1c6e41596ULL);
	assert_true(power(128 + 32) == 0x1751997d0ULL && power(128 - 32) == 0x0ccaa009eULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_known_values),
	        cmocka_unit_test(test_every_length),
	        cmocka_unit_test(test_in_pieces),
	        cmocka_unit_test(test_folding_constants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
