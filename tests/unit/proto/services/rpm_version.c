/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a template would be replaced by an older one, or an upgrade not be seen. */
#include "proto/services/rpm.h"

#include "tests/unit/unit.h"

/* Each is older than the next. */
static const char *const order[] = {
        "~rc1",
        "",
        "^git1",
        "a",
        "b",
        "b1",
        "0",
        "1~rc1",
        "1~rc1.1",
        "1~rc2",
        "1",
        "1^1",
        "1^2",
        "1a",
        "1.a",
        "1.0",
        "1.0.1",
        "1.1",
        "1.9",
        "1.10",
        "2",
        "4.2.0",
        "4.10",
        "2026",
        "20260",
        "99999999999999999999",
        "100000000000000000000",
};

static void test_order(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		for (size_t j = 0; j < ARRAY_LEN(order); j++) {
			int r = rpm_version_compare(order[i], order[j]);
			int wanted = i < j ? -1 : i > j;

			/* "1a" and "1.a" are the same: a dot only separates. */
			if ((i == 13 && j == 14) || (i == 14 && j == 13))
				wanted = 0;
			if (r != wanted)
				fail_msg("%s and %s: %d", order[i], order[j], r);
		}
	}
}

static void test_same(void **state)
{
	static const char *const rows[][2] = {
	        {"1.0", "1.0"}, {"1.0", "1..0"}, {"1.0", "1_0"}, {"01", "1"},
	        {"1.", "1"},    {"1a", "1.a"},   {"~", "~"},     {"1+", "1-"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(rpm_version_compare(rows[i][0], rows[i][1]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
