/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, another qube could choose where its file lies here, or what is started with its address. */
#include "proto/services/open.h"

#include <string.h>

#include "tests/unit/unit.h"

/* services-009: every byte a name may have, and what becomes of the others. */
static void test_open_name_bytes(void **state)
{
	static const char fine[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+@-";

	for (int c = 1; c < 256; c++) {
		char field[OPEN_NAME_LEN] = {'x', (char)c, 'y'};
		struct open_name out;
		int r = open_name_decode(field, &out);

		assert_int_equal(r, c == '/' ? -1 : 0);
		if (r == 0)
			assert_int_equal(out.name[1], strchr(fine, c) ? c : '_');
	}
}

static void test_open_name_rows(void **state)
{
	static const struct {
		const char *field;
		int r;
		const char *name;
		bool view_only;
	} rows[] = {{"a.txt", 0, "a.txt", false}, {"view-only-a.txt", 0, "a.txt", true},
	            {"", -1, "", false},          {".", -1, "", false},
	            {"..", -1, "", false},        {"...", 0, "...", false},
	            {"view-only-", -1, "", true}, {"view-only-..", -1, "", true},
	            {"a/b", -1, "", false},       {"/", -1, "", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char field[OPEN_NAME_LEN] = {0};
		struct open_name out;

		memcpy(field, rows[i].field, strlen(rows[i].field));
		assert_int_equal(open_name_decode(field, &out), rows[i].r);
		if (rows[i].r)
			continue;
		assert_string_equal(out.name, rows[i].name);
		assert_int_equal(out.view_only, rows[i].view_only);
	}
}

static void test_open_name_length(void **state)
{
	char field[OPEN_NAME_LEN];
	char path[600] = "/some/";
	struct open_name out;

	memset(field, 'a', sizeof(field));
	assert_int_equal(open_name_decode(field, &out), 0);
	assert_int_equal(strlen(out.name), 255);
	memset(path + 6, 'b', 500);
	memcpy(path + 502, ".txt", 5);
	for (int view = 0; view < 2; view++) {
		open_name_encode(path, view, field);
		assert_int_equal(field[OPEN_NAME_LEN - 1], 0);
		assert_int_equal(open_name_decode(field, &out), 0);
		assert_int_equal(strlen(out.name), view ? 245 : 255);
		assert_string_equal(out.name + strlen(out.name) - 4, ".txt");
	}
}

/* services-010 */
static void test_open_url(void **state)
{
	static const struct {
		const char *text;
		bool legal;
	} rows[] = {{"http://x", true},      {"https://x/?a=b#c", true}, {"ftp://x", true},
	            {"HTTP://x", false},     {"file:///etc", false},     {"http:/x", false},
	            {"http://", false},      {" http://x", false},       {"http://a b", false},
	            {"http://a\x7f", false}, {"http://\xc3\xa9", false}, {"", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(open_url_legal(rows[i].text, strlen(rows[i].text)), rows[i].legal);
	assert_true(open_url_like("file:///x"));
	assert_true(open_url_like("x-y+z.1://"));
	assert_false(open_url_like("://x"));
	assert_false(open_url_like("a b://x"));
	assert_false(open_url_like("C:/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_open_name_bytes),
	        cmocka_unit_test(test_open_name_rows),
	        cmocka_unit_test(test_open_name_length),
	        cmocka_unit_test(test_open_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
