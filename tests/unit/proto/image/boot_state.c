/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, GRUB and dom0 would disagree about which image is started. */
#include "proto/image/boot_state.h"

#include <string.h>

#include "tests/unit/unit.h"

#define FIRST "# GRUB Environment Block\n"

static int decode(const char *text, struct boot_state *s)
{
	uint8_t block[BOOT_STATE_LEN];

	memset(block, '#', sizeof(block));
	memcpy(block, text, strlen(text));
	return boot_state_decode(block, s);
}

static void test_boot_state_is_read_as_it_was_written(void **state)
{
	static const struct boot_state rows[] = {
	        {0},
	        {.good = 'a', .floor = 5},
	        {.good = 'b',
	         .trying = 'a',
	         .tries = BOOT_STATE_TRIES,
	         .floor = 1,
	         .seen = 2,
	         .until = 3},
	        {.good = 'a',
	         .trying = 'b',
	         .tries = BOOT_STATE_TRIES_MAX,
	         .floor = UINT64_MAX,
	         .seen = UINT64_MAX,
	         .until = UINT64_MAX},
	};
	uint8_t block[BOOT_STATE_LEN];
	struct boot_state got;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		boot_state_encode(block, &rows[i]);
		assert_int_equal(boot_state_decode(block, &got), 0);
		assert_int_equal(got.good, rows[i].good);
		assert_int_equal(got.trying, rows[i].trying);
		assert_int_equal(got.tries, rows[i].tries);
		assert_true(got.floor == rows[i].floor && got.seen == rows[i].seen &&
		            got.until == rows[i].until);
		/* One sector is all that ever changes. */
		for (size_t k = BOOT_STATE_USED; k < BOOT_STATE_LEN; k++)
			assert_int_equal(block[k], '#');
	}
}

static void test_boot_state_as_grub_writes_it(void **state)
{
	struct boot_state got;

	assert_int_equal(decode(FIRST, &got), 0);
	assert_int_equal(got.good, 0);
	assert_int_equal(decode(FIRST "tries=2\nfloor=9\ntry=b\ngood=a\n", &got), 0);
	assert_true(got.tries == 2 && got.floor == 9 && got.trying == 'b' && got.good == 'a');
	assert_int_equal(decode(FIRST "good=\ntry=\n", &got), 0);
	assert_int_equal(got.trying, 0);
}

static void test_boot_state_refuses_the_rest(void **state)
{
	static const char *const bad[] = {
	        "",
	        "# GRUB environment block\n",
	        FIRST "good=c\n",
	        FIRST "good=ab\n",
	        FIRST "good=A\n",
	        FIRST "good=a\ngood=a\n",
	        FIRST "good=a\ntry=a\n",
	        FIRST "tries=\n",
	        FIRST "tries=10\n",
	        FIRST "tries=01\n",
	        FIRST "tries=-1\n",
	        FIRST "floor=18446744073709551616\n",
	        FIRST "floor=1x\n",
	        FIRST "other=1\n",
	        FIRST "good\n",
	        FIRST "=a\n",
	        FIRST "\n",
	        FIRST "good=a",
	        FIRST "seen=0000000000000000000000000000000000000000000000000000000000000\n",
	        FIRST "good=a\n# more\n",
	};
	uint8_t block[BOOT_STATE_LEN];
	struct boot_state got;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(decode(bad[i], &got), -1);
	memset(block, '#', sizeof(block));
	memcpy(block, FIRST "good=\0\n", strlen(FIRST) + 7);
	assert_int_equal(boot_state_decode(block, &got), -1);
	boot_state_encode(block, &(struct boot_state){.good = 'a'});
	block[BOOT_STATE_LEN - 1] = 0;
	assert_int_equal(boot_state_decode(block, &got), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_boot_state_is_read_as_it_was_written),
	        cmocka_unit_test(test_boot_state_as_grub_writes_it),
	        cmocka_unit_test(test_boot_state_refuses_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
