/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a program would get other arguments than its caller spelled. */
#include "proto/services/vmexec.h"

#include <string.h>

#include "tests/unit/unit.h"

static void test_vmexec_every_byte(void **state)
{
	for (int c = 0; c < 256; c++) {
		const char word[2] = {(char)c, 'x'};
		char arg[16];
		char room[16];
		struct vmexec_word words[1];
		struct wire_writer w = wire_writer(arg, sizeof(arg) - 1);
		size_t n;

		vmexec_encode(&w, word, sizeof(word), true);
		assert_false(w.bad);
		arg[w.len] = '\0';
		assert_int_equal(vmexec_decode(arg, room, sizeof(room), words, 1, &n), VMEXEC_OK);
		assert_int_equal(n, 1);
		assert_int_equal(words[0].len, 2);
		assert_memory_equal(words[0].text, word, 2);
	}
}

/* One text for each word: no other spelling of the same bytes is taken. */
static void test_vmexec_escapes(void **state)
{
	static const struct {
		const char *arg;
		enum vmexec_result r;
	} rows[] = {{"-2F", VMEXEC_OK},          {"-2f", VMEXEC_E_ESCAPE},
	            {"-2", VMEXEC_E_ESCAPE},     {"-", VMEXEC_E_ESCAPE},
	            {"--", VMEXEC_OK},           {"---", VMEXEC_E_ESCAPE},
	            {"a+-", VMEXEC_E_ESCAPE},    {"-+-", VMEXEC_E_ESCAPE},
	            {"-2+F", VMEXEC_E_ESCAPE},   {"/", VMEXEC_E_CHARACTER},
	            {"a b", VMEXEC_E_CHARACTER}, {"\x80", VMEXEC_E_CHARACTER},
	            {"-@0", VMEXEC_E_CHARACTER}, {"-:0", VMEXEC_E_CHARACTER},
	            {"-G0", VMEXEC_E_ESCAPE}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char room[32];
		struct vmexec_word words[4];
		size_t n;

		print_message("# %s\n", rows[i].arg);
		assert_int_equal(vmexec_decode(rows[i].arg, room, sizeof(room), words, 4, &n),
		                 rows[i].r);
	}
}

static void test_vmexec_room(void **state)
{
	const char *arg = "ab+c+";
	struct vmexec_word words[3];
	char room[8];
	size_t n;

	assert_int_equal(vmexec_words(arg), 3);
	assert_int_equal(vmexec_decode(arg, room, strlen(arg) + 1, words, 3, &n), VMEXEC_OK);
	assert_int_equal(n, 3);
	assert_string_equal(words[0].text, "ab");
	assert_string_equal(words[2].text, "");
	assert_int_equal(vmexec_decode(arg, room, strlen(arg), words, 3, &n), VMEXEC_E_ROOM);
	assert_int_equal(vmexec_decode(arg, room, sizeof(room), words, 2, &n), VMEXEC_E_ROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vmexec_every_byte),
	        cmocka_unit_test(test_vmexec_escapes),
	        cmocka_unit_test(test_vmexec_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
