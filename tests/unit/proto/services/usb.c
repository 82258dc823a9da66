/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube could name a device to our kernel that there cannot be. */
#include "proto/services/usb.h"

#include <string.h>

#include "tests/unit/unit.h"

/* services-012 */
static void test_usb_device(void **state)
{
	static const struct {
		const char *line;
		int speed; /* 0: refused */
	} rows[] = {{"65538 1.5\n", 1},
	            {"65538 12\n", 2},
	            {"65538 480\n", 3},
	            {"65538 53.3-480\n", 4},
	            {"65538 5000\n", 5},
	            {"65538 10000\n", 6},
	            {"65538 20000\n", 6},
	            {"0 12\n", 2},
	            {"4294967295 12\n", 2},
	            {"4294967296 12\n", 0},
	            {"65538 481\n", 0},
	            {"65538 48\n", 0},
	            {"65538 4800\n", 0},
	            {"65538 480", 0},
	            {"65538  480\n", 0},
	            {"65538\n", 0},
	            {" 65538 480\n", 0},
	            {"-1 480\n", 0},
	            {"0x10002 480\n", 0},
	            {"65538 480 \n", 0},
	            {"", 0},
	            {"\n", 0},
	            {"00000000000000000000000000 12\n", 2},
	            {"00000000000000000000000000000 12\n", 0}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct usb_device out = {.speed = 77};

		print_message("# %s\n", rows[i].line);
		assert_int_equal(usb_device_decode(rows[i].line, strlen(rows[i].line), &out),
		                 rows[i].speed ? 0 : -1);
		assert_int_equal(out.speed, rows[i].speed ? rows[i].speed : 77);
	}
}

static void test_usb_busid(void **state)
{
	static const char *const good[] = {"1-1", "2-1.4", "10-2.3.4", "0x1d6b.0x0002",
	                                   "0xABCD.0xef01"};
	static const char *const bad[] = {"",
	                                  "1",
	                                  "1-",
	                                  "-1",
	                                  "1-1.",
	                                  "1-.1",
	                                  "1-1..2",
	                                  "1-1/..",
	                                  "a-1",
	                                  "1-1 ",
	                                  "0x1.0x2",
	                                  "0x1d6b",
	                                  "0x1d6b.",
	                                  "0x1d6b.0x00022",
	                                  "1-1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(usb_busid_legal(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(usb_busid_legal(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_usb_device),
	        cmocka_unit_test(test_usb_busid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
