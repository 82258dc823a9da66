/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a mistake in a service's configuration would run it as another user, or a correct
 * file would refuse it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "call/service.h"
#include "lib/base/log.h"

struct row {
	const char *text;
	size_t len;
	int r;
	struct service_settings out;
};
#define GOOD(text, ...)                                                                            \
	{                                                                                          \
		text, sizeof(text) - 1, 0,                                                         \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define BAD(text)                                                                                  \
	{                                                                                          \
		text, sizeof(text) - 1, -1,                                                        \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

static const struct row rows[] = {
        GOOD("", 0),
        GOOD("\n\n", 0),
        GOOD("# comment\n", 0),
        GOOD("wait-for-session = true\n", .wait_for_session = true),
        GOOD("wait-for-session=1", .wait_for_session = true),
        GOOD("wait-for-session = 0\n", 0),
        GOOD("wait-for-session = false # not now\n", 0),
        GOOD("wait-for-session \t=\t true \t\r\n", .wait_for_session = true),
        GOOD("force-user = 'someone'\n", .force_user = "someone"),
        GOOD("force-user = 'a b#c\"'#x\n", .force_user = "a b#c\""),
        GOOD("force-user = 'u'\nskip-service-descriptor = false\n", .force_user = "u"),
        GOOD("skip-service-descriptor = true\nexit-on-client-eof = true\nexit-on-service-eof = "
             "true\n",
             .skip_descriptor = true, .exit_on_client_eof = true, .exit_on_service_eof = true),
        GOOD("unknown.key_1 = 17\nother = 'text'\nthird = true\n", 0),
        GOOD("wait-for-session-x = true\nwait-for-session = true\n", .wait_for_session = true),
        BAD("wait-for-session = 00\n"),
        BAD("wait-for-session = 01\n"),
        BAD("wait-for-session = 2\n"),
        BAD("wait-for-session = 10\n"),
        BAD("wait-for-session = \n"),
        BAD("wait-for-session =\n"),
        BAD("wait-for-session = \"a\"\n"),
        BAD("wait-for-session = 'true'\n"),
        BAD("wait-for-session = yes\n"),
        BAD("wait-for-session = truex\n"),
        BAD("wait-for-session = true x\n"),
        BAD("wait-for-session = 1x\n"),
        BAD("wait-for-session = -1\n"),
        BAD("wait-for-session\n"),
        BAD("wait-for-session true\n"),
        BAD("wait-for-session = true\nwait-for-session = true\n"),
        BAD("unknown = 1\nunknown = 1\n"),
        BAD(" wait-for-session = true\n"),
        BAD("\twait-for-session = true\n"),
        BAD("[section]\n"),
        BAD("1key = 1\n"),
        BAD("-key = 1\n"),
        BAD("key\0 = 1\n"),
        BAD("# \0\n"),
        BAD("key = 1 # \0\n"),
        BAD("= 1\n"),
        BAD("force-user = 'unterminated\n"),
        BAD("force-user = '''three'''\n"),
        BAD("force-user = ''\n"),
        BAD("force-user = 'a' b\n"),
        BAD("force-user = 'a\x01'\n"),
        BAD("force-user = user\n"),
        BAD("force-user = 1\n"),
        BAD("force-user = 'u'\nskip-service-descriptor = true\n"),
        BAD("exit-on-client-eof = true\nforce-user = 'u'\n"),
        BAD("force-user = 'u'\nexit-on-service-eof = true\n"),
        BAD("skip-service-descriptor = 1\n"),
        BAD("key = 1234567890123456789\n"),
};

static void test_settings_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct service_settings out;
		unsigned int line = 0;
		int r = service_settings_parse(rows[i].text, rows[i].len, &out, &line);

		if (r != rows[i].r)
			fail_msg("row %zu (%s): %d", i, rows[i].text, r);
		if (r == 0 && memcmp(&out, &rows[i].out, sizeof(out)) != 0)
			fail_msg("row %zu (%s): other settings", i, rows[i].text);
	}
}

static void test_settings_line_of_the_fault(void **state)
{
	static const char text[] = "# one\nkey = 1\n\nkey = 2\nother = 1\n";
	struct service_settings out;
	unsigned int line = 0;

	(void)state;
	assert_int_equal(service_settings_parse(text, sizeof(text) - 1, &out, &line), -1);
	assert_int_equal(line, 4);
}

static void test_settings_user_of_greatest_length(void **state)
{
	char text[sizeof("force-user = ''\n") + SERVICE_USER_MAX];
	struct service_settings out;
	unsigned int line = 0;

	(void)state;
	for (int len = SERVICE_USER_MAX - 2; len <= SERVICE_USER_MAX; len++) {
		char user[SERVICE_USER_MAX + 1];
		int n;

		memset(user, 'u', sizeof(user));
		user[len] = '\0';
		n = snprintf(text, sizeof(text), "force-user = '%s'", user);
		assert_int_equal(service_settings_parse(text, (size_t)n, &out, &line),
		                 len < SERVICE_USER_MAX ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_settings_rows),
	        cmocka_unit_test(test_settings_line_of_the_fault),
	        cmocka_unit_test(test_settings_user_of_greatest_length),
	};

	log_set_fd(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
