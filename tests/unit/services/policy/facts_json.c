/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, facts of an unexpected form give a qube more than the expected ones would.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "services/policy/policy.h"
#include "services/policy/system.h"

static struct system *parse(const char *text)
{
	const char *why = NULL;
	struct system *system = system_from_json(text, strlen(text), &why);

	assert_true(system || why);
	return system;
}

/* One qube "q" with the fields given. */
static const struct system_qube *qube_of(struct system *system)
{
	uint32_t index = system_find(system, "q", 1);

	assert_int_not_equal(index, NO_ID);
	return system_qube(system, index);
}

static void test_types(void **state)
{
	static const struct {
		const char *text;
		bool template;
		bool internal;
		bool running;
	} cases[] = {
	        {"{\"q\": {}}", false, false, false},
	        {"{\"domains\": {\"q\": {\"template_for_dispvms\": true, \"internal\": \"1\", "
	         "\"power_state\": \"Running\"}}}",
	         true, true, true},
	        {"{\"q\": {\"template_for_dispvms\": \"False\", \"internal\": true, "
	         "\"power_state\": true}}",
	         false, true, false},
	        {"{\"q\": {\"template_for_dispvms\": 1, \"internal\": \"\", \"power_state\": "
	         "\"running\"}}",
	         false, false, false},
	        {"{\"q\": {\"template_for_dispvms\": null, \"internal\": null, \"power_state\": "
	         "\"Paused\"}}",
	         false, false, false},
	        {"{\"q\": {\"template_for_dispvms\": [1], \"internal\": \"\\u0000\", "
	         "\"power_state\": \"Running\\u0000\"}}",
	         false, true, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct system *system = parse(cases[i].text);

		assert_non_null(system);
		assert_int_equal(qube_of(system)->template_for_dispvms, cases[i].template);
		assert_int_equal(qube_of(system)->internal, cases[i].internal);
		assert_int_equal(qube_of(system)->running, cases[i].running);
		(void)system_unref(system);
	}
}

static void test_texts(void **state)
{
	static const char *const refused[] = {"",
	                                      "x",
	                                      "[]",
	                                      "{\"q\": 1}",
	                                      "{\"a:b\": {}}",
	                                      "{\"q\": {\"tags\": [1]}}",
	                                      "{\"q\": {\"tags\": [\"admin\\u0000x\"]}}"};
	struct system *system;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_null(parse(refused[i]));
	system = parse("{\"q\": {\"tags\": [\"a\"], \"uuid\": \"1\\u0000\", \"type\": 7, "
	               "\"default_dispvm\": \"q\\u0000x\", \"relayvm\": null}}");
	assert_non_null(system);
	assert_true(system_has_tag(system, 0, "a", 1));
	assert_null(qube_of(system)->uuid);
	assert_null(qube_of(system)->default_dispvm);
	assert_string_equal(qube_of(system)->type, "");
	(void)system_unref(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_types),
	        cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests_name("services/policy facts in JSON", tests, NULL, NULL);
}
