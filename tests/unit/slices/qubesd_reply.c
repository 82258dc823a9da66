/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, what qubesd says could become a path or another command, or a qube that runs
 * would count as one that could not be started. doc/protocol/qrexec.md, 6.9.
 */
#include "slices/qrexec/qubesd_reply.h"

#include <string.h>

#include "tests/unit/unit.h"

#define UUID "uuid:f5086f02-e322-4876-a670-14973aed21b5"
#define S31  "abcdefghijklmnopqrstuvwxyz01234"

struct reply {
	const char *bytes;
	size_t len;
	bool with_uuid;
	const char *name; /* NULL: none */
};

#define REPLY(text, uuid, name)                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1, uuid, name                                                 \
	}

static void test_created(void **state)
{
	static const struct reply rows[] = {
	        REPLY("0\0disp1", false, "disp1"),
	        REPLY("0\0" UUID, true, UUID),
	        REPLY("0\0" UUID, false, UUID),
	        REPLY("0\0" S31 S31 "x", false, S31 S31 "x"),
	        REPLY("0\0" S31 S31 "xy", false, NULL),
	        REPLY("", false, NULL),
	        REPLY("0", false, NULL),
	        REPLY("0\0", false, NULL),
	        REPLY("1\0disp1", false, NULL),
	        REPLY("00disp1", false, NULL),
	        REPLY("2\0QubesException\0\0no\0", false, NULL),
	        REPLY("0\0disp1\0", false, NULL),
	        REPLY("0\0disp1\n", false, NULL),
	        REPLY("0\0disp 1", false, NULL),
	        REPLY("0\0../disp1", false, NULL),
	        REPLY("0\0.disp1", false, NULL),
	        REPLY("0\0@dispvm", false, NULL),
	        REPLY("0\0disp\xc3\xa9", false, NULL),
	        REPLY("0\0disp1", true, NULL),
	        REPLY("0\0" UUID "5", true, NULL),
	        REPLY("0\0uxid:f5086f02-e322-4876-a670-14973aed21b5", true, NULL),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char name[QREXEC_TARGET_LEN];
		int r = qubesd_created_name(rows[i].bytes, rows[i].len, rows[i].with_uuid, name);

		if (r != (rows[i].name ? 0 : -1))
			fail_msg("row %zu: %d", i, r);
		if (r == 0)
			assert_string_equal(name, rows[i].name);
	}
}

static void test_started(void **state)
{
	static const struct reply yes[] = {REPLY("0\0", false, NULL), REPLY("0\0more", false, NULL),
	                                   REPLY("2\0QubesVMNotHaltedError\0\0text\0", false,
	                                         NULL)};
	static const struct reply no[] = {
	        REPLY("", false, NULL), REPLY("0", false, NULL), REPLY("1\0", false, NULL),
	        REPLY("2\0QubesVMNotHaltedErro", false, NULL),
	        REPLY("2\0QubesException\0\0QubesVMNotHaltedError\0", false, NULL)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(qubesd_has_started(yes[i].bytes, yes[i].len));
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(qubesd_has_started(no[i].bytes, no[i].len));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_created),
	        cmocka_unit_test(test_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
