/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, parts of an image would be looked for where others stand. */
#include "proto/image/newc.h"

#include <string.h>

#include "tests/unit/unit.h"

static void test_newc_is_read_as_it_was_written(void **state)
{
	const struct newc_head head = {.mode = NEWC_FILE, .size = 0xffffffff, .name_len = 11};
	uint8_t bytes[NEWC_HEAD_LEN];
	struct newc_head got;

	newc_encode(bytes, &head);
	assert_memory_equal(bytes, "07070100000000000081a4", 22);
	assert_memory_equal(bytes + 54, "ffffffff", 8);
	assert_memory_equal(bytes + 94, "0000000b", 8);
	assert_int_equal(newc_decode(bytes, &got), 0);
	assert_memory_equal(&got, &head, sizeof(head));
	memcpy(bytes + 54, "FFFFFFFE", 8);
	assert_int_equal(newc_decode(bytes, &got), 0);
	assert_int_equal(got.size, 0xfffffffe);
}

static void test_newc_refuses_what_is_none(void **state)
{
	static const uint8_t letters[] = {'g', 'G', '/', ':', '@', '`', ' ', '\0', 'x', '-'};
	const struct newc_head head = {.name_len = 2};
	uint8_t bytes[NEWC_HEAD_LEN];
	struct newc_head got;

	for (size_t i = 0; i < NEWC_HEAD_LEN; i++) {
		newc_encode(bytes, &head);
		bytes[i] = letters[i % sizeof(letters)];
		assert_int_equal(newc_decode(bytes, &got), -1);
	}
	for (uint32_t len = 0; len <= NEWC_NAME_MAX + 1; len++) {
		newc_encode(bytes, &(struct newc_head){.name_len = len});
		assert_int_equal(newc_decode(bytes, &got), len < 2 || len > NEWC_NAME_MAX ? -1 : 0);
	}
}

static void test_newc_names(void **state)
{
	assert_int_equal(newc_name_check("a", 2), 0);
	assert_int_equal(newc_name_check("./usr/a~\0\0\0", 11), 0);
	assert_int_equal(newc_name_check("a", 1), -1);
	assert_int_equal(newc_name_check("\0", 2), -1);
	assert_int_equal(newc_name_check("a\0b", 4), -1);
	assert_int_equal(newc_name_check("a b", 4), -1);
	assert_int_equal(newc_name_check("a\x7f", 3), -1);
	assert_int_equal(newc_name_check("a\xc3", 3), -1);
	assert_int_equal(newc_name_check("a\n", 3), -1);
	assert_int_equal(newc_align(0), 0);
	assert_int_equal(newc_align(1), 4);
	assert_int_equal(newc_align(4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_newc_is_read_as_it_was_written),
	        cmocka_unit_test(test_newc_refuses_what_is_none),
	        cmocka_unit_test(test_newc_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
