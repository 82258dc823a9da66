/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube's request would be taken for another one, or for one of dom0. */
#include "services/admin/request.h"

#include <string.h>

#include "tests/unit/unit.h"

static char data[REQUEST_MAX + 2];
static struct request r;

static enum request_verdict decode(const char *text, size_t len)
{
	memset(&r, 0, sizeof(r));
	memcpy(data, text, len);
	return request_decode(data, len, &r);
}

#define DECODE(text) decode(text, sizeof(text) - 1)

static void parts(void **state UNUSED)
{
	assert_int_equal(DECODE("admin.vm.tag.Set+a+b work name vault\0pay\0load"), REQUEST_OK);
	assert_string_equal(r.untrusted_method, "admin.vm.tag.Set");
	assert_string_equal(r.untrusted_arg, "a+b");
	assert_string_equal(r.source, "work");
	assert_string_equal(r.untrusted_dest, "vault");
	assert_int_equal(r.untrusted_payload_len, 8);
	assert_memory_equal(r.untrusted_payload, "pay\0load", 8);
	assert_int_equal(DECODE("m dom0 keyword adminvm\0"), REQUEST_OK);
	assert_string_equal(r.untrusted_dest, "dom0");
	assert_string_equal(r.untrusted_arg, "");
	assert_int_equal(r.untrusted_payload_len, 0);
	/* A name with blanks is one that no qube has, not a word more. */
	assert_int_equal(DECODE("m+ dom0 name a b\0"), REQUEST_OK);
	assert_string_equal(r.untrusted_dest, "a b");
}

static void no_requests(void **state UNUSED)
{
	assert_int_equal(DECODE(""), REQUEST_CLOSE);
	assert_int_equal(DECODE("m dom0 name work"), REQUEST_CLOSE);
	assert_int_equal(DECODE("m dom0 name\0"), REQUEST_CLOSE);
	assert_int_equal(DECODE("m dom0\0name work\0"), REQUEST_CLOSE);
	assert_int_equal(DECODE("m dom0 id 1\0"), REQUEST_CLOSE);
	assert_int_equal(DECODE("m dom0 keyword dom0\0"), REQUEST_CLOSE);
	assert_int_equal(DECODE("\0"), REQUEST_CLOSE);
	assert_int_equal(DECODE("m\xc3\xa4 dom0 name work\0"), REQUEST_REFUSED);
	/* What is behind the NUL may be anything. */
	assert_int_equal(DECODE("m dom0 name work\0\xff"), REQUEST_OK);
}

static void longest(void **state UNUSED)
{
	static char text[REQUEST_MAX + 1] = "m dom0 name work";

	assert_int_equal(decode(text, REQUEST_MAX), REQUEST_OK);
	assert_int_equal(r.untrusted_payload_len, REQUEST_MAX - 17);
	assert_int_equal(decode(text, REQUEST_MAX + 1), REQUEST_CLOSE);
}

static void names(void **state UNUSED)
{
	static const char *const good[] = {"a", "work", "Sys-usb_1.x",
	                                   "abcdefghijklmnopqrstuvwxyz01234"};
	static const char *const bad[] = {"",
	                                  "1a",
	                                  "-a",
	                                  "_a",
	                                  ".a",
	                                  "a b",
	                                  "a/b",
	                                  "a\n",
	                                  "none",
	                                  "default",
	                                  "x-dm",
	                                  "a%s",
	                                  "Domain-0",
	                                  "\xc3\xa4",
	                                  "a:b",
	                                  "@a",
	                                  "$a",
	                                  "a+b",
	                                  "abcdefghijklmnopqrstuvwxyz012345"};
	struct fault f;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(request_name_check(good[i], &f, E_VALUE));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f = (struct fault){0};
		assert_false(request_name_check(bad[i], &f, E_VALUE));
		assert_string_equal(f.type, E_VALUE);
	}
}

static void uuids(void **state UNUSED)
{
	assert_true(request_uuid_check("3a400024-7b3f-5308-9ce4-776cf19703e9"));
	assert_false(request_uuid_check("3A400024-7b3f-5308-9ce4-776cf19703e9"));
	assert_false(request_uuid_check("3a400024-7b3f-5308-9ce4-776cf19703e"));
	assert_false(request_uuid_check("3a400024-7b3f-5308-9ce4-776cf19703e99"));
	assert_false(request_uuid_check("3a40002407b3f-5308-9ce4-776cf19703e9"));
	assert_false(request_uuid_check(""));
}

static bool number(const char *text, bool negative, long long *ret)
{
	struct fault f;

	return request_number(text, strlen(text), negative, "x", ret, &f);
}

static void numbers(void **state UNUSED)
{
	static const char *const bad[] = {"",   "-",   "+1",  " 1",  "1 ",
	                                  "01", "0x1", "1e3", "--1", "12345678901234567890"};
	long long n = 0;

	assert_true(number("0", false, &n) && n == 0);
	assert_true(number("-5", true, &n) && n == -5);
	assert_false(number("-5", false, &n));
	/* Nineteen digits that are more than there is. */
	assert_true(number("9999999999999999999", false, &n) && n == INT64_MAX);
	assert_true(number("-9999999999999999999", true, &n) && n == -INT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(number(bad[i], true, &n));
	/* A NUL in a payload ends no number. */
	assert_false(request_number("1\0002", 3, false, "x", &n, &(struct fault){0}));
}

static void truths(void **state UNUSED)
{
	assert_int_equal(request_bool("True"), 1);
	assert_int_equal(request_bool("oN"), 1);
	assert_int_equal(request_bool("0"), 0);
	assert_int_equal(request_bool("FALSE"), 0);
	assert_int_equal(request_bool(""), -1);
	assert_int_equal(request_bool("true "), -1);
	assert_int_equal(request_bool("2"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parts),  cmocka_unit_test(no_requests), cmocka_unit_test(longest),
	        cmocka_unit_test(names),  cmocka_unit_test(uuids),       cmocka_unit_test(numbers),
	        cmocka_unit_test(truths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
