/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a test run or a rootless system would touch the real /run/qubes and
 * /etc/qubes.
 */
#include "lib/base/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

static void test_prefix_moves_every_path(void **state)
{
	char path[64];

	(void)state;
	paths_set_root("/tmp/root//");
	assert_int_equal(path_make(path, sizeof(path), "/run/qubes", NULL), 0);
	assert_string_equal(path, "/tmp/root/run/qubes");
	assert_int_equal(path_make(path, sizeof(path), "/run/qubes", "qrexec.1"), 0);
	assert_string_equal(path, "/tmp/root/run/qubes/qrexec.1");
	assert_string_equal(getenv("SKERRY_ROOT"), "/tmp/root//");
	paths_set_root("");
	assert_int_equal(path_make(path, sizeof(path), "/run/qubes", NULL), 0);
	assert_string_equal(path, "/run/qubes");
}

static void test_path_that_does_not_fit_is_an_error(void **state)
{
	char path[12];

	(void)state;
	paths_set_root("");
	assert_int_equal(path_make(path, 11, "/run/qubes", NULL), 0);
	assert_int_equal(path_make(path, 10, "/run/qubes", NULL), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void test_program_is_found_beside_the_running_one(void **state)
{
	static const char *const places[] = {"no-such-program", "unit-paths", NULL};
	static const char *const none[] = {"no-such-program", NULL};
	char path[4096];

	(void)state;
	assert_int_equal(path_program(path, sizeof(path), places), 0);
	assert_string_equal(strrchr(path, '/'), "/unit-paths");
	assert_int_equal(path_program(path, sizeof(path), none), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(path_program(path, 4, places), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void test_text_field_has_no_old_memory(void **state)
{
	char field[8];

	(void)state;
	memset(field, 0xaa, sizeof(field));
	assert_int_equal(bytes_copy_text(field, sizeof(field), "1234567"), 0);
	assert_memory_equal(field, "1234567", 8);
	memset(field, 0xaa, sizeof(field));
	assert_int_equal(bytes_copy_text(field, sizeof(field), "ab"), 0);
	assert_memory_equal(field, "ab\0\0\0\0\0", 8);
	memset(field, 0xaa, sizeof(field));
	assert_int_equal(bytes_copy_text(field, sizeof(field), "12345678"), -1);
	assert_memory_equal(field, "\0\0\0\0\0\0\0", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_prefix_moves_every_path),
	        cmocka_unit_test(test_path_that_does_not_fit_is_an_error),
	        cmocka_unit_test(test_program_is_found_beside_the_running_one),
	        cmocka_unit_test(test_text_field_has_no_old_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
