/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a qube could forge lines of the log, drive the terminal that shows it, or
 * fill the disk with it.
 */
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/unit/unit.h"

static size_t capture(char *out, size_t max, const char *text, int err)
{
	int pipe_fds[2];
	ssize_t n;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	log_set_fd(pipe_fds[1]);
	log_write("dir/file.c", 12, "function", err, "%s", text);
	log_set_fd(2);
	(void)fd_close(pipe_fds[1]);
	n = read(pipe_fds[0], out, max - 1);
	assert_true(n > 0);
	/* One write, one line: nothing follows. */
	assert_int_equal(read(pipe_fds[0], out + n, 1), 0);
	(void)fd_close(pipe_fds[0]);
	out[n] = '\0';
	return (size_t)n;
}

static void test_escape_every_byte(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < 256; c++) {
		unsigned char in = (unsigned char)c;
		char want[8];
		char got[8];

		if (c >= 0x20 && c <= 0x7e && c != '\\')
			(void)snprintf(want, sizeof(want), "%c", (int)c);
		else
			(void)snprintf(want, sizeof(want), "\\x%02x", c);
		assert_int_equal(escape_text(got, sizeof(got), &in, 1), strlen(want));
		assert_string_equal(got, want);
	}
}

static void test_escape_cuts_between_characters(void **state)
{
	static const struct {
		size_t room;
		const char *want;
	} rows[] = {
	        {1, ""},       {2, "a"},       {3, "a"},       {5, "a"},
	        {6, "a\\x0a"}, {7, "a\\x0ab"}, {9, "a\\x0ab"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char got[16];

		memset(got, 0x55, sizeof(got));
		assert_int_equal(escape_text(got, rows[i].room, "a\nb", 3), strlen(rows[i].want));
		assert_string_equal(got, rows[i].want);
		assert_int_equal(got[rows[i].room], 0x55);
	}
	assert_int_equal(escape_text(NULL, 0, "a", 1), 0);
}

static void test_line_has_the_form_of_the_original(void **state)
{
	char line[4096];
	int year, month, day, hour, minute, second, ms, pid, end = 0;

	(void)state;
	log_init("prog");
	(void)capture(line, sizeof(line), "text", 0);
	assert_int_equal(sscanf(line, "%d-%d-%d %d:%d:%d.%d prog[%d]: file.c:12:function: text%n",
	                        &year, &month, &day, &hour, &minute, &second, &ms, &pid, &end),
	                 8);
	assert_int_equal(pid, getpid());
	assert_string_equal(line + end, "\n");
}

static void test_line_names_the_error_and_keeps_errno(void **state)
{
	char line[4096];

	(void)state;
	errno = EBADF;
	(void)capture(line, sizeof(line), "open", ENOENT);
	assert_non_null(strstr(line, ": open: No such file or directory\n"));
}

static void test_line_of_a_qube_stays_one_line(void **state)
{
	char line[4096];
	size_t len;

	(void)state;
	len = capture(line, sizeof(line), "a\n2026-01-01 forged\033[2J\xff", 0);
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	for (size_t i = 0; i + 1 < len; i++)
		assert_in_range((unsigned char)line[i], 0x20, 0x7e);
	assert_non_null(strstr(line, "a\\x0a2026-01-01 forged\\x1b[2J\\xff\n"));
}

static void test_long_line_is_cut(void **state)
{
	static char text[LOG_LINE_MAX * 3];
	char line[8192];
	size_t len;

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	len = capture(line, sizeof(line), text, ENOENT);
	assert_in_range(len, LOG_LINE_MAX, LOG_LINE_MAX * 2);
	assert_int_equal(line[len - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void test_limit_lets_a_burst_through_then_drops(void **state)
{
	struct log_limit limit = {.burst = 3, .per_second = 0};
	int allowed = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		allowed += log_allow(&limit);
	assert_int_equal(allowed, 3);
}

static void test_limit_earns_lines_back_and_says_what_was_lost(void **state)
{
	struct log_limit limit = {.burst = 2, .per_second = 5};
	char line[1024];
	int pipe_fds[2];
	ssize_t n;

	(void)state;
	while (log_allow(&limit))
		;
	/* Time moves by moving the clock of the limit, not by waiting. */
	limit.last_ms -= 60000;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	log_set_fd(pipe_fds[1]);
	assert_int_equal(log_allow(&limit), 1);
	log_set_fd(2);
	n = read(pipe_fds[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_non_null(strstr(line, "1 lines of this source were dropped\n"));
	assert_int_equal(log_allow(&limit), 1);
	assert_int_equal(log_allow(&limit), 0);
	(void)fd_close(pipe_fds[0]);
	(void)fd_close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_escape_every_byte),
	        cmocka_unit_test(test_escape_cuts_between_characters),
	        cmocka_unit_test(test_line_has_the_form_of_the_original),
	        cmocka_unit_test(test_line_names_the_error_and_keeps_errno),
	        cmocka_unit_test(test_line_of_a_qube_stays_one_line),
	        cmocka_unit_test(test_long_line_is_cut),
	        cmocka_unit_test(test_limit_lets_a_burst_through_then_drops),
	        cmocka_unit_test(test_limit_earns_lines_back_and_says_what_was_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
