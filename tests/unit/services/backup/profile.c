/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a backup would save other qubes than its profile says, or go somewhere else. */
#include "services/backup/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char store[PROFILE_SIZE_MAX + 1], why[PROFILE_WHY_LEN];
static struct backup_profile p;

static int parse(const char *text)
{
	why[0] = '\0';
	return backup_profile_parse(text, strlen(text), store, &p, why);
}

#define PLACE "destination_vm: dom0\ndestination_path: /var/backup\n"

static void every_form(void **state UNUSED)
{
	assert_int_equal(
	        parse("# saved every night\n---\ninclude:\n- vault\n  - $type:TemplateVM # all\n\n"
	              "exclude: [ debian-13, '@tag:x' ,\"a b\"\n ]\n" PLACE
	              "passphrase_text: 'it''s # secret'\ncompression: no\n"),
	        0);
	assert_int_equal(p.n_include, 2);
	assert_string_equal(p.include[0], "vault");
	assert_string_equal(p.include[1], "$type:TemplateVM");
	assert_int_equal(p.n_exclude, 3);
	assert_string_equal(p.exclude[0], "debian-13");
	assert_string_equal(p.exclude[1], "@tag:x");
	assert_string_equal(p.exclude[2], "a b");
	assert_string_equal(p.destination_vm, "dom0");
	assert_string_equal(p.destination_path, "/var/backup");
	assert_string_equal(p.passphrase_text, "it's # secret");
	assert_string_equal(p.passphrase_vm, "");
	assert_false(p.compressed);
}

static void last_line_without_end(void **state UNUSED)
{
	assert_int_equal(
	        parse(PLACE
	              "passphrase_text: \"a\\\\b\\\"c\"\ninclude: []\r\npassphrase_vm: vault"),
	        0);
	assert_string_equal(p.passphrase_text, "a\\b\"c");
	assert_string_equal(p.passphrase_vm, "vault");
	assert_true(p.compressed);
	assert_int_equal(p.n_include, 0);
}

static void missing(void **state UNUSED)
{
	assert_int_equal(parse(""), -1);
	assert_string_equal(why, "Invalid backup profile - missing 'include'");
	assert_int_equal(parse("include: [a]\ndestination_path: x\n"), -1);
	assert_string_equal(why, "Invalid backup profile - missing 'destination_vm'");
	assert_int_equal(parse("include: [a]\ndestination_vm: dom0\ndestination_path:\n"), -1);
	assert_string_equal(why, "Invalid backup profile - missing 'destination_path'");
}

static void refused(void **state UNUSED)
{
	static const char *const bad[] = {
	        "include: [a\n",
	        "include: [a b\n",
	        "include: [a]]\n" PLACE,
	        "include: a\n" PLACE,
	        "include: [[a]]\n" PLACE,
	        "include:\n- \n" PLACE,
	        "include:\n- - a\n" PLACE,
	        "include: [a]\ninclude: [b]\n" PLACE,
	        "includes: [a]\ninclude: [b]\n" PLACE,
	        "include: [a]\n" PLACE "compression: rm -rf\n",
	        "include: [a]\n" PLACE "passphrase_text: 'a\n",
	        "include: [a]\n" PLACE "passphrase_text: \"\\x41\"\n",
	        "include: [a]\n" PLACE "passphrase_text: &x a\n",
	        "include: [a]\n" PLACE "passphrase_text: a: b\n",
	        "include: [a]\n" PLACE "passphrase_text: 'a' b\n",
	        "  include: [a]\n" PLACE,
	        "include: [a]\n" PLACE "passphrase_text: a\x01\n",
	        "include: [a] passphrase_vm: x\n" PLACE,
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i]), -1);
		assert_int_equal(strncmp(why, "Invalid backup profile - line ", 30), 0);
	}
}

static void too_long(void **state UNUSED)
{
	static char text[PROFILE_SIZE_MAX + 2];

	memset(text, '\n', sizeof(text));
	assert_int_equal(backup_profile_parse(text, sizeof(text) - 1, store, &p, why), -1);
	memset(text, ' ', sizeof(text));
	memcpy(text, "include: [", 10);
	for (size_t i = 10; i + 2 < PROFILE_SIZE_MAX; i += 2)
		memcpy(text + i, "a,", 2);
	assert_int_equal(backup_profile_parse(text, PROFILE_SIZE_MAX, store, &p, why), -1);
	assert_non_null(strstr(why, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_form), cmocka_unit_test(last_line_without_end),
	        cmocka_unit_test(missing),    cmocka_unit_test(refused),
	        cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
