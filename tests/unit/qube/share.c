/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, one user of a qube could keep the others from calling. */
#include "qube/agent/share.h"

#include "tests/unit/unit.h"

#define MAX_SLOTS 64

static struct shares shares;

static int set_up(void **state)
{
	(void)state;
	shares = (struct shares){.max = MAX_SLOTS};
	return 0;
}

static size_t take_all(uid_t uid, struct share **ret_share)
{
	size_t n = 0;
	struct share *share = share_take(&shares, uid);

	while (share) {
		*ret_share = share;
		n++;
		share = share_take(&shares, uid);
	}
	return n;
}

static void give_all(struct share *share, size_t n)
{
	while (n-- > 0)
		share_give(&shares, share);
}

static void test_one_user_has_half_and_the_next_half_of_the_rest(void **state)
{
	struct share *share[8] = {NULL};
	size_t n[8];

	(void)state;
	for (uid_t uid = 0; uid < 6; uid++)
		n[uid] = take_all(1000 + uid, &share[uid]);
	assert_int_equal(n[0], 32);
	assert_int_equal(n[1], 16);
	assert_int_equal(n[2], 8);
	assert_int_equal(n[3], 4);
	assert_int_equal(n[4], 2);
	assert_int_equal(n[5], 1);
	for (uid_t uid = 0; uid < 6; uid++)
		give_all(share[uid], n[uid]);
	assert_null(shares.users);
	assert_int_equal(shares.used, 0);
}

static void test_what_is_given_back_can_be_taken_again(void **state)
{
	struct share *first = NULL;
	struct share *other = NULL;

	(void)state;
	assert_int_equal(take_all(1, &first), 32);
	assert_int_equal(take_all(2, &other), 16);
	/* 17 are free now; who has more than that waits until more are. */
	share_give(&shares, first);
	assert_null(share_take(&shares, 1));
	assert_ptr_equal(share_take(&shares, 2), other);
	give_all(other, 17);
	assert_ptr_equal(share_take(&shares, 1), first);
	give_all(first, 32);
	assert_null(shares.users);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_one_user_has_half_and_the_next_half_of_the_rest),
	        TEST(test_what_is_given_back_can_be_taken_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
