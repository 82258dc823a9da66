/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, `-w 010` or `--buffer-size=0x10000` would mean something else than documented. */
#include "call/number.h"

#include <limits.h>

#include "tests/unit/unit.h"

static const struct {
	const char *text;
	long min;
	long max;
	int r;
	long value;
} rows[] = {
        /* text        min  max       r   value */
        {"0", 0, 10, 0, 0},
        {"10", 0, 10, 0, 10},
        {"11", 0, 10, -1, 0},
        {"-1", 0, 10, -1, 0},
        {"-1", -1, 10, 0, -1},
        {"+7", 0, 10, 0, 7},
        {"010", 0, 10, 0, 8},
        {"0x10", 0, 16, 0, 16},
        {"0X1f", 0, 99, 0, 31},
        {"08", 0, 10, -1, 0},
        {"0x", 0, 10, -1, 0},
        {"", 0, 10, -1, 0},
        {" 1", 0, 10, -1, 0},
        {"1 ", 0, 10, -1, 0},
        {"1s", 0, 10, -1, 0},
        {"+", 0, 10, -1, 0},
        {"--1", -5, 10, -1, 0},
        {"- 1", -5, 10, -1, 0},
        {"1.0", 0, 10, -1, 0},
        {"9223372036854775807", 0, LONG_MAX, 0, LONG_MAX},
        {"9223372036854775808", 0, LONG_MAX, -1, 0},
        {"-9223372036854775808", LONG_MIN, 0, 0, LONG_MIN},
        {"-9223372036854775809", LONG_MIN, 0, -1, 0},
};

static void test_number_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		long value = 12345;

		print_message("# '%s'\n", rows[i].text);
		assert_int_equal(number_parse(rows[i].text, rows[i].min, rows[i].max, &value),
		                 rows[i].r);
		assert_int_equal(value, rows[i].r ? 12345 : rows[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_number_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
