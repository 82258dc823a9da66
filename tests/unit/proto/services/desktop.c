/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, an application would be started with other words than its menu entry has. */
#include "proto/services/desktop.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static void test_desktop_lines(void **state)
{
	static const char file[] =
	        "before=1\n[Desktop Entry]\n# comment\n Name = A b \nName[de]=x\nno value\n=y\n"
	        "Exec=a=b\n[Other]\nName=z\n[Desktop Entry]\nIcon=i";
	static const char *const want[] = {"Name|A b", "Name[de]|x", "Exec|a=b", "Icon|i"};
	struct desktop_reader reader = desktop_reader(file, sizeof(file) - 1);
	struct desktop_line line;
	size_t n = 0;

	while (desktop_next(&reader, &line)) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%.*s|%.*s", (int)line.key_len, line.key,
		               (int)line.value_len, line.value);
		assert_true(n < ARRAY_LEN(want));
		assert_string_equal(text, want[n++]);
	}
	assert_int_equal(n, ARRAY_LEN(want));
	for (size_t len = 0; len < sizeof(file); len++) {
		reader = desktop_reader(file, len);
		while (desktop_next(&reader, &line))
			assert_true(line.value + line.value_len <= file + len);
	}
}

static void test_desktop_exec(void **state)
{
	static const struct {
		const char *exec;
		const char *want; /* words with | between them; NULL: refused */
	} rows[] = {
	        {"a", "a"},
	        {"a  b\tc", "a|b|c"},
	        {"a %U %f b", "a|b"},
	        {"a %% %c", "a|%|Name"},
	        {"a %i", "a|--icon|Icon"},
	        {"a %k", "a|/path"},
	        {"a x%cy", "a|xNamey"},
	        {"a %d%D%n%N%v%m", "a"},
	        {"\"a b\" c", "a b|c"},
	        {"a \"\"", "a|"},
	        {"a \"x\\\\\"y\"", "a|x\"y"},
	        {"a \"\\\\\\\\\"", "a|\\"},
	        {"a \"\\\\$x\\\\`\"", "a|$x`"},
	        {"a b\\sc", "a|b|c"},
	        {"a;b|c", "a;b|c"},
	        {"a 'b c'", "a|'b|c'"},
	        {"\"a", NULL},
	        {"a \"b\\\\", NULL},
	        {"a %", NULL},
	        {"a %z", NULL},
	        {"", NULL},
	        {"%U", NULL},
	        {"\"\"", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct desktop_exec exec = {.exec = rows[i].exec,
		                            .exec_len = strlen(rows[i].exec),
		                            .name = "Name",
		                            .icon = "Icon",
		                            .path = "/path"};
		char *words[DESKTOP_WORDS_MAX + 1];
		char room[256];
		char got[256] = "";
		int n = desktop_exec_words(&exec, room, sizeof(room), words);

		print_message("# %s\n", rows[i].exec);
		if (!rows[i].want) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_true(n > 0 && !words[n]);
		for (int k = 0; k < n; k++)
			(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
			               k ? "|" : "", words[k]);
		assert_string_equal(got, rows[i].want);
		for (size_t len = 0; len < 8; len++)
			assert_true(desktop_exec_words(&exec, room, len, words) <= n);
	}
}

static void test_desktop_words_bound(void **state)
{
	char text[2 * DESKTOP_WORDS_MAX + 3];
	char room[sizeof(text) + 1];
	char *words[DESKTOP_WORDS_MAX + 1];
	struct desktop_exec exec = {.exec = text, .name = "", .icon = "", .path = ""};

	memset(text, ' ', sizeof(text));
	for (size_t i = 0; i <= DESKTOP_WORDS_MAX; i++)
		text[2 * i] = 'a';
	exec.exec_len = 2 * DESKTOP_WORDS_MAX;
	assert_int_equal(desktop_exec_words(&exec, room, sizeof(room), words), DESKTOP_WORDS_MAX);
	exec.exec_len++;
	assert_int_equal(desktop_exec_words(&exec, room, sizeof(room), words), -1);
}

static void test_desktop_id(void **state)
{
	char name[202];

	assert_true(desktop_id_legal("org.example.App-1_x"));
	assert_true(desktop_id_legal("notepad++"));
	assert_false(desktop_id_legal(""));
	assert_false(desktop_id_legal("."));
	assert_false(desktop_id_legal(".."));
	assert_false(desktop_id_legal("a/b"));
	assert_false(desktop_id_legal("a b"));
	memset(name, 'a', sizeof(name));
	name[200] = '\0';
	assert_true(desktop_id_legal(name));
	name[200] = 'a';
	name[201] = '\0';
	assert_false(desktop_id_legal(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_desktop_lines),
	        cmocka_unit_test(test_desktop_exec),
	        cmocka_unit_test(test_desktop_words_bound),
	        cmocka_unit_test(test_desktop_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
