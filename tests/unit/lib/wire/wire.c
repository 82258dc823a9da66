/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a short or long message of a qube would be read past its end, or taken for
 * a complete one.
 */
#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

#include "tests/unit/unit.h"

static const uint8_t data[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void test_reader_takes_little_endian_in_order(void **state)
{
	struct wire_reader r = wire_reader(data, sizeof(data));

	(void)state;
	assert_int_equal(wire_u8(&r), 0x01);
	assert_int_equal(wire_u16(&r), 0x0302);
	assert_int_equal(wire_u32(&r), 0x07060504);
	assert_int_equal(wire_left(&r), 8);
	assert_false(wire_end(&r));
	assert_true(wire_u64(&r) == UINT64_C(0x0f0e0d0c0b0a0908));
	assert_true(wire_end(&r));
	assert_int_equal(wire_left(&r), 0);
}

static void test_reader_failure_sticks_at_every_length(void **state)
{
	(void)state;
	for (size_t len = 0; len < 15; len++) {
		struct wire_reader r = wire_reader(data, len);

		(void)wire_u8(&r);
		(void)wire_u16(&r);
		(void)wire_u32(&r);
		(void)wire_u64(&r);
		assert_true(r.bad);
		assert_false(wire_end(&r));
		assert_int_equal(wire_left(&r), 0);
		/* Nothing is given after the first failure, though bytes may be left. */
		assert_null(wire_bytes(&r, 0));
		assert_int_equal(wire_u8(&r), 0);
		assert_true(r.at <= len);
	}
}

static void test_reader_refuses_absurd_lengths(void **state)
{
	struct wire_reader r = wire_reader(data, 4);
	uint8_t copy[4] = {0xaa, 0xaa, 0xaa, 0xaa};

	(void)state;
	assert_non_null(wire_bytes(&r, 2));
	assert_null(wire_bytes(&r, SIZE_MAX));
	r = wire_reader(data, 3);
	wire_copy(&r, copy, 4);
	assert_memory_equal(copy, "\0\0\0\0", 4);
	r = wire_reader(data, 4);
	wire_copy(&r, copy, 4);
	assert_memory_equal(copy, data, 4);
	assert_true(wire_end(&r));
}

static void test_writer_fills_and_refuses_the_next_byte(void **state)
{
	uint8_t out[16];
	struct wire_writer w = wire_writer(out, 15);

	(void)state;
	out[15] = 0x55;
	wire_put_u8(&w, 0x01);
	wire_put_u16(&w, 0x0302);
	wire_put_u32(&w, 0x07060504);
	wire_put_u64(&w, UINT64_C(0x0f0e0d0c0b0a0908));
	assert_false(w.bad);
	assert_int_equal(w.len, 15);
	assert_memory_equal(out, data, 15);
	wire_put_u8(&w, 1);
	assert_true(w.bad);
	assert_int_equal(w.len, 15);
	assert_int_equal(out[15], 0x55);
}

static void test_writer_failure_sticks(void **state)
{
	uint8_t out[4] = {0};
	struct wire_writer w = wire_writer(out, 3);

	(void)state;
	wire_put_u32(&w, 0xffffffff);
	wire_put_u8(&w, 0xff);
	assert_true(w.bad);
	assert_int_equal(w.len, 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_reader_takes_little_endian_in_order),
	        cmocka_unit_test(test_reader_failure_sticks_at_every_length),
	        cmocka_unit_test(test_reader_refuses_absurd_lengths),
	        cmocka_unit_test(test_writer_fills_and_refuses_the_next_byte),
	        cmocka_unit_test(test_writer_failure_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
