/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a request could give a qube another device than the one that was checked. */
#include "services/admin/device_argument.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct fault f;
static bool full;

static struct assignment *argument(const char *text)
{
	f = (struct fault){0};
	return device_argument("block", text, &full, &f);
}

static bool payload(struct assignment *a, const char *text)
{
	f = (struct fault){0};
	return device_payload(a, text, strlen(text), "work", &full, &f);
}

static void arguments(void **state UNUSED)
{
	struct assignment *a = argument("sys-usb+sda1+1234+abcd:_______");

	assert_non_null(a);
	assert_true(full);
	assert_string_equal(a->backend, "sys-usb");
	assert_string_equal(a->port, "sda1");
	assert_string_equal(a->identity, "1234:abcd:?******");
	assignment_free(a);
	a = argument("_+_+_");
	assert_non_null(a);
	assert_false(full);
	assert_string_equal(a->backend, "");
	assert_string_equal(a->port, "*");
	assert_string_equal(a->identity, "*");
	assignment_free(a);
	a = argument("dom0+00_1d.6-00_00.0");
	assert_non_null(a);
	assert_string_equal(a->identity, "*");
	assignment_free(a);
}

static void bad_arguments(void **state UNUSED)
{
	static const char *const bad[] = {
	        "",          "sys-usb",         "sys-usb+",       "+sda+x y'",
	        "sys usb+a", "sys-usb+a b",     "sys-usb+a/b",    "sys-usb+a:b",
	        "-a+sda",    "sys-usb+sda+",    "sys-usb+sda+'",  "sys-usb+sda+\x7f",
	        "1+a",       "sys-usb+../../x", "sys-usb+sda+`x`"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(argument(bad[i]));
		assert_non_null(f.type);
	}
}

static void long_arguments(void **state UNUSED)
{
	char text[700] = "sys-usb+";
	struct assignment *a;

	memset(text + 8, 'a', 63);
	a = argument(text);
	assert_non_null(a);
	assignment_free(a);
	text[8 + 63] = 'a';
	assert_null(argument(text));
	memcpy(text, "sys-usb+sda+", 12);
	memset(text + 12, '1', 512);
	text[12 + 512] = '\0';
	a = argument(text);
	assert_non_null(a);
	assignment_free(a);
	text[12 + 512] = '1';
	assert_null(argument(text));
}

static void pairs(void **state UNUSED)
{
	struct assignment *a = argument("sys-usb+sda");

	assert_true(payload(
	        a, "device_id='0951:1666' port_id='sda' devclass='block' backend_domain='sys-usb' "
	           "mode='required' frontend_domain='work' _read-only='it\\'s' unknown='x'"));
	assert_true(full);
	assert_string_equal(a->identity, "0951:1666");
	assert_int_equal(a->mode, MODE_REQUIRED);
	assert_int_equal(a->n_options, 1);
	assert_string_equal(a->options[0].name, "read-only");
	assert_string_equal(a->options[0].value, "it's");
	assignment_free(a);
}

/* What the payload says may not be another device than the argument. */
static void pairs_that_differ(void **state UNUSED)
{
	static const char *const bad[] = {
	        "backend_domain='sys-net'",
	        "port_id='sdb'",
	        "devclass='usb'",
	        "frontend_domain='vault'",
	        "device_id='other'",
	        "mode='always'",
	        "mode=required",
	        "_a='b",
	        "'x'",
	        "_a='b'_c='d'",
	        "_a b='c'",
	        "_a='b\n'",
	        "_a=\"b\"",
	        "_a='\xc3\xa4'",
	        "_a='b' 'c'",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct assignment *a = argument("sys-usb+sda+this");

		assert_false(payload(a, bad[i]));
		assert_non_null(f.type);
		assert_string_equal(a->backend, "sys-usb");
		assert_string_equal(a->port, "sda");
		assert_string_equal(a->identity, "this");
		assignment_free(a);
	}
}

static void many_pairs(void **state UNUSED)
{
	struct assignment *a = argument("sys-usb+sda");
	char text[65 * 9 + 1];
	size_t n = 0;

	for (int i = 0; i < 65; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "_a%02d='b' ", i % 64);
	text[n - 1] = '\0';
	assert_false(payload(a, text));
	assignment_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arguments),         cmocka_unit_test(bad_arguments),
	        cmocka_unit_test(long_arguments),    cmocka_unit_test(pairs),
	        cmocka_unit_test(pairs_that_differ), cmocka_unit_test(many_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
