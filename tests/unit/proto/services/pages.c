/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a disposable could make its caller read or keep something else than pages. */
#include "proto/services/pages.h"

#include <string.h>

#include "tests/unit/unit.h"

/* services-014: at most 10000 pages of 10000 pixels either way. */
static void test_pages_count(void **state)
{
	static const struct {
		const char *line;
		enum pages_result r;
	} rows[] = {{"1\n", PAGES_OK},           {"10000\n", PAGES_OK},
	            {"10001\n", PAGES_E_COUNT},  {"00001\n", PAGES_OK},
	            {"000001\n", PAGES_E_COUNT}, {"0\n", PAGES_E_COUNT},
	            {"99999\n", PAGES_E_COUNT},  {"1", PAGES_E_COUNT},
	            {"\n", PAGES_E_COUNT},       {"1\r\n", PAGES_E_COUNT},
	            {"-1\n", PAGES_E_COUNT},     {" 1\n", PAGES_E_COUNT},
	            {"", PAGES_E_SHORT},         {"x\n", PAGES_E_COUNT}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pages pages = pages_begin();

		print_message("# %s\n", rows[i].line);
		assert_int_equal(pages_line(&pages, rows[i].line, strlen(rows[i].line)), rows[i].r);
		assert_int_equal(pages.want, PAGES_WANT_LINE);
	}
}

static void test_pages_size(void **state)
{
	static const struct {
		const char *line;
		enum pages_result r;
	} rows[] = {{"1 1\n", PAGES_OK},           {"10000 10000\n", PAGES_OK},
	            {"10001 1\n", PAGES_E_SIZE},   {"1 10001\n", PAGES_E_SIZE},
	            {"0 1\n", PAGES_E_SIZE},       {"1 1", PAGES_E_SIZE},
	            {"", PAGES_E_SHORT},           {"010000 1000\n", PAGES_OK},
	            {"010000 10000", PAGES_E_SIZE}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pages pages = pages_begin();

		assert_int_equal(pages_line(&pages, "2\n", 2), PAGES_OK);
		assert_int_equal(pages_line(&pages, rows[i].line, strlen(rows[i].line)), rows[i].r);
	}
}

static void test_pages_order(void **state)
{
	struct pages pages = pages_begin();

	assert_int_equal(pages_line(&pages, "2\n", 2), PAGES_OK);
	for (uint32_t page = 1; page <= 2; page++) {
		assert_int_equal(pages.want, PAGES_WANT_LINE);
		assert_int_equal(pages_line(&pages, "2 3\n", 4), PAGES_OK);
		assert_int_equal(pages.page, page);
		assert_int_equal(pages.want, PAGES_WANT_PIXELS);
		assert_int_equal(pages.left, 18);
		pages_pixels(&pages, 17);
		assert_int_equal(pages.want, PAGES_WANT_PIXELS);
		pages_pixels(&pages, 1);
	}
	assert_int_equal(pages.want, PAGES_WANT_END);
}

/* All pages together are bounded, whatever each of them may be. */
static void test_pages_total(void **state)
{
	struct pages pages = pages_begin();
	enum pages_result r = pages_line(&pages, "10000\n", 6);
	uint32_t n = 0;

	while (r == PAGES_OK) {
		r = pages_line(&pages, "10000 10000\n", 12);
		if (r == PAGES_OK)
			pages_pixels(&pages, 300000000);
		n++;
	}
	assert_int_equal(r, PAGES_E_BYTES);
	assert_int_equal(n, PAGES_BYTES_MAX / 300000000 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_pages_count),
	        cmocka_unit_test(test_pages_size),
	        cmocka_unit_test(test_pages_order),
	        cmocka_unit_test(test_pages_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
