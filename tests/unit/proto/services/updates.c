/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, what a qube says of its updates would be read as something else. */
#include "proto/services/updates.h"

#include <string.h>

#include "tests/unit/unit.h"

static void test_updates_rows(void **state)
{
	static const struct {
		const char *text;
		int r;
		bool any;
	} rows[] = {{"0", 0, false},      {"1\n", 0, true}, {" 00 ", 0, false}, {"010", 0, true},
	            {"\t7\r\n", 0, true}, {"", -1, false},  {" ", -1, false},   {"-1", -1, false},
	            {"1 1", -1, false},   {"x", -1, false}, {"1x", -1, false},  {"0x1", -1, false}};
	char text[UPDATES_COUNT_MAX + 1];
	bool any;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		any = false;
		assert_int_equal(updates_count_parse(rows[i].text, strlen(rows[i].text), &any),
		                 rows[i].r);
		assert_int_equal(any, rows[i].any);
	}
	assert_int_equal(updates_count_parse("1\0", 2, &any), -1);
	memset(text, '9', sizeof(text));
	assert_int_equal(updates_count_parse(text, UPDATES_COUNT_MAX, &any), 0);
	assert_int_equal(updates_count_parse(text, UPDATES_COUNT_MAX + 1, &any), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_updates_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
