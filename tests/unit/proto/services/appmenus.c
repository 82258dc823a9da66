/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube could put commands, or another qube's name, into the menus of dom0. */
#include "proto/services/appmenus.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct appmenus_value value;

static enum appmenus_result parse(const char *line)
{
	return appmenus_parse_line(line, strlen(line), &value);
}

/* services-004: one bad value takes nothing else with it. */
static void test_appmenus_bad_value(void **state)
{
	assert_int_equal(parse("a.desktop:Comment=$(reboot)"), APPMENUS_BAD);
	assert_string_equal(value.app, "a");
	assert_int_equal(value.key, APPMENUS_COMMENT);
	assert_int_equal(parse("a.desktop:Name=Good"), APPMENUS_VALUE);
	assert_string_equal(value.value, "Good");
}

/* Every byte at the end of every key's value: what gets through is of the key's set. */
static void test_appmenus_every_byte(void **state)
{
	for (int key = 0; key < APPMENUS_KEY_MAX; key++) {
		for (int c = 1; c < 128; c++) {
			char line[64];
			enum appmenus_result r;

			(void)snprintf(line, sizeof(line), "a.desktop:%s=x%cy",
			               appmenus_key_name((enum appmenus_key)key), c);
			r = parse(line);
			if (r != APPMENUS_VALUE)
				continue;
			assert_false(strpbrk(value.value, "\n\r\t%$`\\\"!<|*?~^#[]"));
			assert_true(c >= 0x20 && c < 0x7f);
		}
	}
}

static void test_appmenus_names(void **state)
{
	static const struct {
		const char *line;
		const char *app;
	} rows[] = {
	        {"a.desktop:Name=x", "a"},
	        {"a:Name=x", "a"},
	        {"/usr/share/a.desktop:Name=x", "a"},
	        {".desktop:Name=x", ".desktop"},
	        {"..desktop:Name=x", "."},
	        {"a.desktop.desktop:Name=x", "a.desktop"},
	        {"b:c:Name=x", "c"},
	        {"a b.desktop:Name=x", "b"},
	};

	assert_int_equal(parse("a:b=c:Name=x"), APPMENUS_NOTHING);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		print_message("# %s\n", rows[i].line);
		assert_int_equal(parse(rows[i].line), APPMENUS_VALUE);
		assert_string_equal(value.app, rows[i].app);
	}
}

static void test_appmenus_lines(void **state)
{
	static char data[APPMENUS_LINE_ROOM * 2];
	struct appmenus_text text = {.data = data};
	const char *line;
	size_t len;

	(void)snprintf(data, sizeof(data), "a\r\nb\rc\n\nd");
	text.len = strlen(data);
	for (const char *const *want = (const char *const[]){"a", "b", "c", "", "d", NULL}; *want;
	     want++) {
		assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_LINE);
		assert_memory_equal(line, *want, strlen(*want));
	}
	assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_END);

	/* Characters are counted, not bytes. */
	for (size_t i = 0; i < sizeof(data) - 1; i += 2)
		memcpy(data + i, "\xc5\xbd", 2);
	text = (struct appmenus_text){.data = data, .len = APPMENUS_LINE_MAX * 2 + 2};
	assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_LINE);
	assert_int_equal(len, APPMENUS_LINE_MAX * 2);
	assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_LINE);
	assert_int_equal(len, 2);
	text = (struct appmenus_text){.data = data, .len = 3};
	assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_NOT_UTF8);
}

static void test_appmenus_not_utf8(void **state)
{
	static const char *const rows[] = {"\xff",
	                                   "\xc0\x80",
	                                   "\xe0\x80\x80",
	                                   "\xed\xa0\x80",
	                                   "\xf4\x90\x80\x80",
	                                   "\xf8\x88\x80\x80\x80",
	                                   "\x80",
	                                   "\xc5"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct appmenus_text text = {.data = rows[i], .len = strlen(rows[i])};
		const char *line;
		size_t len;

		assert_int_equal(appmenus_next_line(&text, &line, &len), APPMENUS_NOT_UTF8);
	}
}

static void test_appmenus_categories(void **state)
{
	assert_true(appmenus_category_known("2DGraphics", 10));
	assert_true(appmenus_category_known("XFCE", 4));
	assert_true(appmenus_category_known("Music", 5));
	assert_false(appmenus_category_known("Musi", 4));
	assert_false(appmenus_category_known("Musics", 6));
	assert_false(appmenus_category_known("Screensaver", 11));
	assert_false(appmenus_category_known("", 0));
}

static void test_appmenus_template_needs_room(void **state)
{
	const struct appmenus_app app = {.name = "a", .values = {[APPMENUS_NAME] = "A"}};
	char room[512];
	struct wire_writer w = wire_writer(room, sizeof(room));
	size_t whole;

	assert_true(appmenus_template(&w, &app, false));
	assert_false(w.bad);
	assert_false(appmenus_template(&w, &app, true));
	whole = w.len;
	for (size_t max = 0; max < whole; max++) {
		w = wire_writer(room, max);
		(void)appmenus_template(&w, &app, false);
		assert_true(w.bad);
		assert_true(w.len <= max);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_appmenus_bad_value),
	        cmocka_unit_test(test_appmenus_every_byte),
	        cmocka_unit_test(test_appmenus_names),
	        cmocka_unit_test(test_appmenus_lines),
	        cmocka_unit_test(test_appmenus_not_utf8),
	        cmocka_unit_test(test_appmenus_categories),
	        cmocka_unit_test(test_appmenus_template_needs_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
