/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, a kernel that took over the process that unpacks it could have hypercalls made that are not for the
 * building of its own domain. */
#include "proto/xen_build.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct build_call call;

static bool legal(uint32_t op, uint32_t data, uint64_t first, bool pvh)
{
	memset(&call, 0, sizeof(call));
	call.op = op;
	call.len = data;
	call.args[0] = first;
	return build_call_legal(&call, BUILD_CALL_HEAD + data, pvh);
}

static void kinds(void **state)
{
	static const struct {
		uint32_t op, data;
		uint64_t first;
		bool pv, pvh;
	} rows[] = {
	        {0, 0, 0, false, false},
	        {BUILD_VERSION, 0, 0, true, true},
	        {BUILD_VERSION, 1, 0, false, false},
	        {BUILD_CAPABILITIES, 0, 0, true, true},
	        {BUILD_INFO, 0, 0, true, true},
	        {BUILD_INFO, 8, 0, false, false},
	        {BUILD_POPULATE, 8, 0, true, true},
	        {BUILD_POPULATE, 0, 0, false, false},
	        {BUILD_POPULATE, 12, 0, false, false},
	        {BUILD_POPULATE, BUILD_DATA_MAX, 18, true, true},
	        {BUILD_POPULATE, 8, 19, false, false},
	        {BUILD_MOVE, 0, 0, false, true},
	        {BUILD_PIN, 0, 0, true, false},
	        {BUILD_PIN, 8, 0, false, false},
	        {BUILD_HYPERCALLS, 0, 0, true, false},
	        {BUILD_STATE, 0, 0, false, true},
	        {BUILD_SET_STATE, 0, 0, false, false},
	        {BUILD_SET_STATE, 1, 0, false, true},
	        {BUILD_PROCESSOR, BUILD_PROCESSOR_LEN, 0, true, false},
	        {BUILD_PROCESSOR, BUILD_PROCESSOR_LEN - 1, 0, false, false},
	        {BUILD_PROCESSOR, BUILD_PROCESSOR_LEN + 1, 0, false, false},
	        {BUILD_DONE, 0, 0, true, true},
	        {BUILD_DONE, 1, 0, false, false},
	        {BUILD_MAX, 0, 0, false, false},
	        {UINT32_MAX, 0, 0, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(legal(rows[i].op, rows[i].data, rows[i].first, false), rows[i].pv);
		assert_int_equal(legal(rows[i].op, rows[i].data, rows[i].first, true), rows[i].pvh);
	}
}

/* A parameter may be where pages are, never what the hypervisor does for the domain. */
static void parameters(void **state)
{
	static const uint8_t known[] = BUILD_PARAMS;

	(void)state;
	for (uint64_t number = 0; number < 64; number++) {
		bool wanted = memchr(known, (int)number, sizeof(known)) != NULL;

		assert_int_equal(legal(BUILD_SET_PARAM, 0, number, true), wanted);
		assert_int_equal(legal(BUILD_PARAM, 0, number, true), wanted);
		assert_false(legal(BUILD_SET_PARAM, 0, number, false));
		assert_false(legal(BUILD_SET_PARAM, 8, number, true));
	}
	assert_false(legal(BUILD_SET_PARAM, 0, 1ULL << 32 | known[0], true));
}

static void lengths(void **state)
{
	(void)state;
	memset(&call, 0, sizeof(call));
	call.op = BUILD_VERSION;
	for (size_t len = 0; len < BUILD_CALL_HEAD; len++)
		assert_false(build_call_legal(&call, len, true));
	assert_true(build_call_legal(&call, BUILD_CALL_HEAD, true));
	/* More or less came than it says. */
	assert_false(build_call_legal(&call, BUILD_CALL_HEAD + 1, true));
	call.len = 1;
	assert_false(build_call_legal(&call, BUILD_CALL_HEAD, true));
	call.len = UINT32_MAX;
	assert_false(build_call_legal(&call, BUILD_CALL_HEAD, true));
}

static void texts(void **state)
{
	(void)state;
	assert_false(legal(BUILD_FAILED, 0, 0, true));
	assert_true(legal(BUILD_FAILED, 1, 0, true));
	call.data[0] = 'x';
	assert_false(build_call_legal(&call, BUILD_CALL_HEAD + 1, true));
	call.len = BUILD_DATA_MAX;
	assert_true(build_call_legal(
	        &call, sizeof(call) - (sizeof(call) - BUILD_CALL_HEAD - BUILD_DATA_MAX), true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(kinds),
	        cmocka_unit_test(parameters),
	        cmocka_unit_test(lengths),
	        cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
