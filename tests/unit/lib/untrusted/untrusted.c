/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a name or a text of a qube could do what lib/untrusted says it cannot. The
 * recorded cases are replayed by tests/vectors/filecopy_vectors.c; here are the properties.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/escape.h"
#include "lib/untrusted/name.h"
#include "lib/untrusted/path.h"
#include "lib/untrusted/text.h"
#include "tests/unit/unit.h"

#define ROUNDS 200000

static uint64_t random_state = 0x5eed;

static unsigned int random_below(unsigned int n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(random_state >> 33) % n;
}

/* Text of the bytes that matter: slashes, dots, letters, ends and middles of UTF-8. */
static size_t random_text(char *out, size_t max)
{
	static const char some[] =
	        "//..ab\\ \x1b\n\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xed\xa0";
	size_t len = random_below((unsigned int)max);

	for (size_t i = 0; i < len; i++)
		out[i] = some[random_below(sizeof(some) - 1)];
	out[len] = '\0';
	return len;
}

/* Cleaned text may be shown, fits, and is what it was if that may be shown. */
static void test_clean_text_may_be_shown(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char in[24];
		char out[24];
		size_t len = random_text(in, sizeof(in));
		size_t room = 1 + random_below(sizeof(out));
		size_t n = untrusted_text_clean(out, room, in);

		assert_true(n >= 1 && n <= room && out[n - 1] == '\0' && strlen(out) == n - 1);
		assert_true(n == 1 || untrusted_text_shown(out, n - 1));
		(void)untrusted_text_clean(out, sizeof(out), in);
		assert_int_equal(len > 0 && untrusted_text_shown(in, len),
		                 len > 0 && strcmp(in, out) == 0);
	}
}

/* Escaped text may be shown, and its bytes can be told from it. */
static void test_escaped_text_loses_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char in[24];
		char out[4 * sizeof(in)];
		char back[sizeof(in)];
		size_t len = random_text(in, sizeof(in));
		size_t n = untrusted_text_escape(out, sizeof(out), in, len);
		size_t got = 0;

		assert_true(n == 0 || untrusted_text_shown(out, n));
		for (size_t at = 0; at < n; got++) {
			unsigned int byte = (unsigned char)out[at];

			if (out[at] == '\\') {
				assert_int_equal(sscanf(out + at, "\\x%02x", &byte), 1);
				at += 4;
			} else {
				at++;
			}
			back[got] = (char)byte;
		}
		assert_int_equal(got, len);
		assert_memory_equal(back, in, len);
	}
}

static void test_escape_cuts_between_characters(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(untrusted_text_escape(out, 3, "\xc3\xa9x", 3), 2);
	assert_string_equal(out, "\xc3\xa9");
	assert_int_equal(untrusted_text_escape(out, 2, "\xc3\xa9x", 3), 0);
	assert_int_equal(untrusted_text_escape(out, 0, "x", 1), 0);
	assert_int_equal(untrusted_text_escape(out, sizeof(out), "\x1b[", 2), 5);
	assert_string_equal(out, "\\x1b[");
}

/* Whatever is accepted: walked component by component, never above the start, never by "..". */
static void test_accepted_names_stay_below(void **state)
{
	unsigned int accepted = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char name[24];
		unsigned int flags = random_below(2); /* the only flag for received names */
		char *rest = name;
		char *part;

		(void)random_text(name, sizeof(name));
		if (untrusted_path_check(name, flags))
			continue;
		accepted++;
		while ((part = strsep(&rest, "/"))) {
			assert_true(*part);
			assert_string_not_equal(part, ".");
			assert_string_not_equal(part, "..");
		}
	}
	assert_true(accepted > 100);
}

/* An accepted target, resolved by hand from the link's folder, stays inside the top-level object. */
static void test_accepted_links_stay_inside(void **state)
{
	unsigned int accepted = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char target[24];
		char *rest = target;
		char *part;
		int depth =
		        2; /* of the folder that holds "a/b/c"; 1 is the top-level object itself */

		(void)random_text(target, sizeof(target));
		if (untrusted_link_check("a/b/c", target,
		                         UNTRUSTED_ANY_BYTES | random_below(2) * 2))
			continue;
		accepted++;
		assert_true(target[0] != '/');
		while ((part = strsep(&rest, "/"))) {
			if (strcmp(part, "..") == 0)
				depth--;
			else if (*part && strcmp(part, ".") != 0)
				depth++;
			assert_true(depth >= 1);
		}
	}
	assert_true(accepted > 100);
}

static void test_long_names(void **state)
{
	static char name[1 << 20];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	assert_int_equal(untrusted_path_check(name, 0), 0);
	for (size_t i = 1; i < sizeof(name) - 1; i += 2)
		name[i] = '/';
	name[sizeof(name) - 2] = 'a';
	assert_int_equal(untrusted_path_check(name, 0), 0);
	assert_int_equal(untrusted_qube_name_check(name, sizeof(name) - 1),
	                 UNTRUSTED_QUBE_NAME_LONG);
	assert_int_equal(untrusted_link_check(name, "../../x", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_clean_text_may_be_shown),
	        cmocka_unit_test(test_escaped_text_loses_nothing),
	        cmocka_unit_test(test_escape_cuts_between_characters),
	        cmocka_unit_test(test_accepted_names_stay_below),
	        cmocka_unit_test(test_accepted_links_stay_inside),
	        cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
