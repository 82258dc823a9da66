/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, a mistake in the list of children would start another program, or none, without a word. */
#include <stdio.h>
#include <string.h>

#include "image/init.h"
#include "tests/unit/unit.h"

static struct init parsed;

void init_finish(struct init *init)
{
	(void)init;
}

static int parse(const char *text)
{
	(void)memset(&parsed, 0, sizeof(parsed));
	(void)snprintf(parsed.text, sizeof(parsed.text), "%s", text);
	return children_parse(&parsed, parsed.text);
}

static void test_a_list_is_read(void **state)
{
	(void)state;
	assert_int_equal(parse("# comment\n\nstore  vital socket=/run/x  /sbin/store --no-fork\n"
	                       "setup once exit /bin/setup\nd service byte /bin/d a b"),
	                 0);
	assert_int_equal(parsed.n_children, 3);
	assert_string_equal(parsed.children[0].name, "store");
	assert_int_equal(parsed.children[0].kind, CHILD_VITAL);
	assert_int_equal(parsed.children[0].ready, READY_SOCKET);
	assert_string_equal(parsed.children[0].ready_path, "/run/x");
	assert_string_equal(parsed.children[0].args[1], "--no-fork");
	assert_null(parsed.children[0].args[2]);
	assert_int_equal(parsed.children[1].kind, CHILD_ONCE);
	assert_int_equal(parsed.children[2].ready, READY_BYTE);
	assert_string_equal(parsed.children[2].args[2], "b");
}

static void test_mistakes_are_refused(void **state)
{
	static const char *const bad[] = {
	        "name",
	        "name service",
	        "name service now",
	        "name daemon now /bin/x",
	        "name service later /bin/x",
	        "name service now bin/x",
	        "name service exit /bin/x", /* would be ready when it is dead */
	        "name once now /bin/x",     /* would never be waited for */
	        "name vital socket=run/x /bin/x",
	        "n service now /b 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse(bad[i]), -1);
	assert_int_equal(parse("n service now /b 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
	                       "20 21 22 23"),
	                 0);
}

static void test_no_more_children_than_there_is_room_for(void **state)
{
	char text[INIT_FILE_MAX] = "";
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; i < INIT_CHILDREN_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "n%u service now /bin/x\n",
		                        i);
	assert_int_equal(parse(text), 0);
	(void)snprintf(text + len, sizeof(text) - len, "more service now /bin/x\n");
	assert_int_equal(parse(text), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_list_is_read),
	        cmocka_unit_test(test_mistakes_are_refused),
	        cmocka_unit_test(test_no_more_children_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
