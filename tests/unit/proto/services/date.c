/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube's clock could be set by what is no time, or to another time than was meant. */
#include "proto/services/date.h"

#include <string.h>

#include "tests/unit/unit.h"

static const char good[] = "2026-05-01T10:11:12,123456789+00:00\n";

/* Cut at each byte, and each byte replaced by each other: only digits for digits pass. */
static void test_date_mutations(void **state)
{
	char text[DATE_NS_LEN];

	assert_int_equal(date_check(good, DATE_NS_LEN), DATE_OK);
	for (size_t len = 0; len < DATE_NS_LEN; len++)
		assert_int_not_equal(date_check(good, len), DATE_OK);
	for (size_t at = 0; at < DATE_NS_LEN; at++) {
		bool is_digit = good[at] >= '0' && good[at] <= '9' && at < 29;

		for (int c = 0; c < 256; c++) {
			enum date_result r;

			memcpy(text, good, sizeof(text));
			text[at] = (char)c;
			r = date_check(text, sizeof(text));
			if (c == good[at])
				assert_int_equal(r, DATE_OK);
			else if (!is_digit || c < '0' || c > '9')
				assert_int_not_equal(r, DATE_OK);
		}
	}
}

static void test_date_floor(void **state)
{
	assert_int_equal(date_check("2022-07-10T17:08:31+00:00\n", DATE_LEN), DATE_E_FLOOR);
	assert_int_equal(date_check("2022-07-10T17:08:32+00:00\n", DATE_LEN), DATE_OK);
	assert_int_equal(date_check("2022-07-10T17:08:31,999999999+00:00\n", DATE_NS_LEN),
	                 DATE_E_FLOOR);
}

static void test_date_parse(void **state)
{
	static const struct {
		const char *text;
		enum date_result r;
		long long s;
		long ns;
	} rows[] = {
	        {"1970-01-01T00:00:00", DATE_OK, 0, 0},
	        {"1970-01-01T00:00:00+00:00\n", DATE_OK, 0, 0},
	        {"2026-05-01T10:11:12Z", DATE_OK, 1777630272, 0},
	        {"2026-05-01T10:11:12+02:00", DATE_OK, 1777630272 - 7200, 0},
	        {"2026-05-01T10:11:12-0230\n", DATE_OK, 1777630272 + 9000, 0},
	        {"2026-05-01T10:11:12+01", DATE_OK, 1777630272 - 3600, 0},
	        {"2026-05-01T10:11:12,5+00:00", DATE_OK, 1777630272, 500000000},
	        {"2026-05-01T10:11:12.000000001", DATE_OK, 1777630272, 1},
	        {"2024-02-29T00:00:00", DATE_OK, 1709164800, 0},
	        {"2023-02-29T00:00:00", DATE_E_VALUE, 0, 0},
	        {"1900-02-28T00:00:00", DATE_E_VALUE, 0, 0},
	        {"2026-00-01T00:00:00", DATE_E_VALUE, 0, 0},
	        {"2026-13-01T00:00:00", DATE_E_VALUE, 0, 0},
	        {"2026-04-31T00:00:00", DATE_E_VALUE, 0, 0},
	        {"2026-04-30T24:00:00", DATE_E_VALUE, 0, 0},
	        {"2026-04-30T00:60:00", DATE_E_VALUE, 0, 0},
	        {"2026-04-30T00:00:61", DATE_E_VALUE, 0, 0},
	        {"2026-04-30T00:00:00,", DATE_E_FORM, 0, 0},
	        {"2026-04-30T00:00:00,1234567890", DATE_E_FORM, 0, 0},
	        {"2026-04-30T00:00:00+15", DATE_E_FORM, 0, 0},
	        {"2026-04-30T00:00:00+01:60", DATE_E_FORM, 0, 0},
	        {"2026-04-30T00:00:00+1", DATE_E_FORM, 0, 0},
	        {"2026-04-30T00:00:00\n\n", DATE_E_FORM, 0, 0},
	        {"2026-04-30 00:00:00", DATE_E_FORM, 0, 0},
	        {"", DATE_E_FORM, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct timespec time = {0};

		print_message("# %s\n", rows[i].text);
		assert_int_equal(date_parse(rows[i].text, strlen(rows[i].text), &time), rows[i].r);
		assert_int_equal(time.tv_sec, rows[i].s);
		assert_int_equal(time.tv_nsec, rows[i].ns);
	}
}

static void test_date_write(void **state)
{
	struct timespec time = {.tv_sec = 1777630272, .tv_nsec = 123456789};
	struct timespec back;
	char text[DATE_NS_LEN + 1];

	assert_int_equal(date_write(&time, true, text), DATE_NS_LEN);
	assert_string_equal(text, good);
	assert_int_equal(date_parse(text, DATE_NS_LEN, &back), DATE_OK);
	assert_int_equal(back.tv_nsec, 123456789);
	assert_int_equal(date_write(&time, false, text), DATE_LEN);
	assert_string_equal(text, "2026-05-01T10:11:12+00:00\n");
	time.tv_sec = 1LL << 60;
	assert_int_equal(date_write(&time, false, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_date_mutations),
	        cmocka_unit_test(test_date_floor),
	        cmocka_unit_test(test_date_parse),
	        cmocka_unit_test(test_date_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
