/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a service would lose the bytes behind its first line, or read past them. */
#include "lib/base/input.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/unit/unit.h"

static struct input in;
static int ends[2];

static void give(const char *text)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(fd_write_all(ends[1], text, strlen(text)), 0);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	input_init(&in, ends[0]);
}

static void take_back(void)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_input_lines(void **state)
{
	char line[8];

	give("a\n\n12345678\nend");
	assert_int_equal(input_line(&in, line, sizeof(line)), 2);
	assert_int_equal(input_line(&in, line, sizeof(line)), 1);
	assert_int_equal(input_line(&in, line, sizeof(line)), 8);
	assert_memory_equal(line, "12345678", 8);
	assert_int_equal(input_line(&in, line, sizeof(line)), 1);
	assert_int_equal(input_line(&in, line, sizeof(line)), 3);
	assert_int_equal(input_line(&in, line, sizeof(line)), 0);
	take_back();
}

static void test_input_exact_and_copy(void **state)
{
	unsigned long long copied;
	char data[16];
	int pipe_ends[2];

	give("head\n12345rest");
	assert_int_equal(pipe2(pipe_ends, 0), 0);
	assert_int_equal(input_line(&in, data, sizeof(data)), 5);
	assert_int_equal(input_exact(&in, data, 5), 0);
	assert_memory_equal(data, "12345", 5);
	assert_int_equal(input_copy(&in, pipe_ends[1], 3, &copied), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(copied, 3);
	assert_int_equal(input_copy(&in, pipe_ends[1], 3, &copied), 0);
	assert_int_equal(copied, 1);
	assert_int_equal(read(pipe_ends[0], data, sizeof(data)), 4);
	assert_memory_equal(data, "rest", 4);
	assert_int_equal(input_exact(&in, data, 1), -1);
	assert_int_equal(errno, EPIPE);
	take_back();
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_input_lines),
	        cmocka_unit_test(test_input_exact_and_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
