/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a qube could be used before it is whole, or after its end, or never be got rid of. */
#include <string.h>

#include "monitor/qube_state.h"
#include "tests/unit/unit.h"

static void test_qube_state_life(void **state)
{
	static const struct {
		enum qube_event event;
		enum qube_state next;
	} life[] = {
	        {QUBE_OPENED, QUBE_CREATING},   {QUBE_CREATED, QUBE_DATABASE},
	        {QUBE_SERVED, QUBE_PAUSED},     {QUBE_UNPAUSED, QUBE_RUNNING},
	        {QUBE_QREXEC, QUBE_RUNNING},    {QUBE_NETWORK, QUBE_RUNNING},
	        {QUBE_PAUSE_DONE, QUBE_PAUSED}, {QUBE_UNPAUSED, QUBE_RUNNING},
	        {QUBE_ASKED, QUBE_HALTING},     {QUBE_ASKED, QUBE_HALTING},
	        {QUBE_ENDED, QUBE_DYING},
	};
	enum qube_state s = QUBE_OPENING;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(life); i++) {
		s = qube_state_next(s, life[i].event);
		assert_int_equal(s, life[i].next);
	}
}

/* Whatever happens, a qube can end; what has ended comes back by nothing. */
static void test_qube_state_end(void **state)
{
	(void)state;
	for (int s = QUBE_OPENING; s < QUBE_STATES; s++)
		assert_int_equal(qube_state_next((enum qube_state)s, QUBE_ENDED), QUBE_DYING);
	for (int s = QUBE_CREATING; s < QUBE_STATES; s++)
		assert_int_equal(qube_state_next((enum qube_state)s, QUBE_DESTROY), QUBE_DYING);
	for (int e = 0; e < QUBE_EVENTS; e++) {
		enum qube_state next = qube_state_next(QUBE_DYING, (enum qube_event)e);

		assert_true(next == QUBE_NONE || next == QUBE_DYING);
	}
}

/* Nothing may be done with a qube that is not whole yet. */
static void test_qube_state_early(void **state)
{
	static const enum qube_event uses[] = {QUBE_UNPAUSED, QUBE_PAUSE_DONE, QUBE_ASKED,
	                                       QUBE_NETWORK, QUBE_QREXEC};

	(void)state;
	for (int s = QUBE_NONE; s < QUBE_PAUSED; s++)
		for (size_t i = 0; i < ARRAY_LEN(uses); i++)
			assert_int_equal(qube_state_next((enum qube_state)s, uses[i]), QUBE_NONE);
	/* One that is paused cannot end by itself, and one that halts is not paused. */
	assert_int_equal(qube_state_next(QUBE_PAUSED, QUBE_ASKED), QUBE_NONE);
	assert_int_equal(qube_state_next(QUBE_HALTING, QUBE_PAUSE_DONE), QUBE_NONE);
}

static void test_qube_state_bounds(void **state)
{
	(void)state;
	assert_int_equal(qube_state_next(QUBE_STATES, QUBE_ENDED), QUBE_NONE);
	assert_int_equal(qube_state_next(QUBE_RUNNING, QUBE_EVENTS), QUBE_NONE);
	assert_int_equal(qube_state_next((enum qube_state) - 1, (enum qube_event) - 1), QUBE_NONE);
	assert_string_equal(qube_state_name(QUBE_RUNNING), "running");
	assert_string_equal(qube_state_name((enum qube_state) - 1), "none");
	for (int s = 0; s < QUBE_STATES; s++)
		assert_non_null(qube_state_name((enum qube_state)s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_qube_state_life),
	        cmocka_unit_test(test_qube_state_end),
	        cmocka_unit_test(test_qube_state_early),
	        cmocka_unit_test(test_qube_state_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
