/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers and names of backups: if this failed, an archive could name what no backup holds. */
#include "services/backup/format.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define GOOD                                                                                       \
	"version=4\nencrypted=True\ncompressed=True\ncompression-filter=gzip\n"                    \
	"hmac-algorithm=scrypt\nbackup-id=20261128T100000-77\n"

static void test_header_comes_back(void **state UNUSED)
{
	struct backup_header h;
	char text[BACKUP_HEADER_MAX];
	const char *why;

	assert_int_equal(backup_header_decode(GOOD, strlen(GOOD), &h, &why), 0);
	assert_true(h.compressed);
	assert_string_equal(h.id, "20261128T100000-77");
	assert_int_equal(backup_header_encode(text, sizeof(text), &h), strlen(GOOD));
	assert_string_equal(text, GOOD);
}

static void test_header_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
	        "",
	        "version=4\n",
	        (GOOD "version=4\n"),
	        (GOOD "new=1\n"),
	        (GOOD "x"),
	        "version=3\nencrypted=True\nhmac-algorithm=scrypt\nbackup-id=a\n",
	        "version=4\nencrypted=False\nhmac-algorithm=scrypt\nbackup-id=a\n",
	        "version=4\nencrypted=True\nhmac-algorithm=sha512\nbackup-id=a\n",
	        "version=4\nencrypted=True\nhmac-algorithm=scrypt\nbackup-id=a!b\n",
	        "version=4\nencrypted=True\nhmac-algorithm=scrypt\nbackup-id=\n",
	        "version=4\nencrypted=True\nhmac-algorithm=scrypt\nbackup-id=a\ncompression-filter="
	        "sh\n",
	};
	struct backup_header h;
	const char *why;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(backup_header_decode(bad[i], strlen(bad[i]), &h, &why), -1);
		assert_non_null(why);
	}
}

static void test_names(void **state UNUSED)
{
	static const char *const good[] = {"qubes.xml.000.enc", "vm1/root.img.999.enc",
	                                   "vm9999/private.tree.1000.enc",
	                                   "dom0-home/user.000.enc"};
	static const char *const bad[] = {"",
	                                  ".enc",
	                                  "qubes.xml",
	                                  "qubes.xml.00.enc",
	                                  "qubes.xml.0001.enc",
	                                  "qubes.xml.1.enc",
	                                  "vm1/.x.000.enc",
	                                  "vm1/../x.000.enc",
	                                  "/vm1/x.000.enc",
	                                  "vm/x.000.enc",
	                                  "vm100000/x.000.enc",
	                                  "vm1/a/b.000.enc",
	                                  "vm1/a b.000.enc",
	                                  "vm1/-x.000.enc",
	                                  "vm1/x.100000.enc",
	                                  "dom0-home/.x.000.enc",
	                                  "dom0-home/a/b.000.enc",
	                                  "dom0-home/.000.enc",
	                                  "dom0-homes/x.000.enc"};
	char path[BACKUP_PATH_LEN];
	unsigned int number;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(backup_chunk_parse(good[i], path, &number), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(backup_chunk_parse(bad[i], path, &number), -1);
}

static void test_phrases(void **state UNUSED)
{
	char out[BACKUP_PHRASE_LEN], longest[BACKUP_PHRASE_LEN + 1];

	assert_int_equal(backup_phrase(out, "id", "vm1/private.img.000", "pass"), 0);
	assert_string_equal(out, "id!vm1/private.img.000!pass");
	assert_int_equal(backup_phrase(out, "", NULL, "pass"), 0);
	assert_string_equal(out, "backup-header!pass");
	assert_int_equal(backup_phrase(out, "id", "x", "two\nlines"), -1);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(backup_phrase(out, "id", "x", longest), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_header_comes_back),
	        cmocka_unit_test(test_header_is_refused),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
