/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube could write lines into another's log that it did not send, or drive a terminal. */
#include "proto/services/log_line.h"

#include <string.h>

#include "tests/unit/unit.h"

static void test_log_line_rows(void **state)
{
	static const struct {
		const char *line;
		const char *text;
		int severity;
	} rows[] = {{"hello\n", "hello", 6},
	            {"hello\r\n", "hello", 6},
	            {"", "", 6},
	            {"\r\n", "", 6},
	            {"<3>bad", "bad", 3},
	            {"<11>bad", "bad", 3},
	            {"<999>bad", "bad", 7},
	            {"<1000>x", "<1000>x", 6},
	            {"<>x", "<>x", 6},
	            {"<a>x", "<a>x", 6},
	            {"<3", "<3", 6},
	            {"<3>", "", 3},
	            {"a\x1b[2Jb", "a\\x1b[2Jb", 6},
	            {"a\nb", "a\\x0ab", 6},
	            {"\xff", "\\xff", 6},
	            {"caf\xc3\xa9", "caf\xc3\xa9", 6}};
	char out[LOG_LINE_MAX_OUT];
	int severity;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = log_line_clean(rows[i].line, strlen(rows[i].line), out, &severity);

		assert_int_equal(n, strlen(rows[i].text));
		assert_string_equal(out, rows[i].text);
		assert_int_equal(severity, rows[i].severity);
	}
}

static void test_log_line_long(void **state)
{
	static char line[LOG_LINE_MAX_IN + 1];
	static char out[LOG_LINE_MAX_OUT];
	int severity;

	memset(line, 'a', sizeof(line));
	assert_int_equal(log_line_clean(line, LOG_LINE_MAX_IN, out, &severity), LOG_LINE_MAX_IN);
	assert_int_equal(log_line_clean(line, LOG_LINE_MAX_IN + 1, out, &severity),
	                 LOG_LINE_MAX_IN + 3);
	assert_string_equal(out + LOG_LINE_MAX_IN, "...");
	memset(line, 1, sizeof(line));
	assert_int_equal(log_line_clean(line, sizeof(line), out, &severity),
	                 LOG_LINE_MAX_IN * 4 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_log_line_rows),
	        cmocka_unit_test(test_log_line_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
