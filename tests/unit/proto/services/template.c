/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, the update qube could have dom0 believe, or show, what no repository says. */
#include "proto/services/template.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define REST "|https://x/|A template|What is in it,\nover lines."

/* What is said of a whole answer: how many records, or the first error. */
static int read_all(const char *answer, size_t len)
{
	enum template_result r = TEMPLATE_OK;
	struct template_record record;
	size_t at = 0;
	int n = 0;

	while ((r = template_next(answer, len, &at, &record)) == TEMPLATE_OK)
		n++;
	return r == TEMPLATE_END ? n : -(int)r;
}

/* services-018 */
static void test_answers(void **state)
{
	static const char good[] = "qubes-template-a|0|4.2|1|r|1|2026-1-31 7:05|GPL" REST;
	static const struct {
		const char *text;
		int result;
	} rows[] = {
	        {"", 0},
	        {"qubes-template-debian-12|0|4.2.0|202601|repo-itl|1234|1700000000|GPLv3+" REST
	         "|\n",
	         1},
	        {"qubes-template-a||||r|1|1|()" REST, 1},
	        {"qubes-template-a|0|4~rc1|1|r|1|2026-12-31 23:59|GPL" REST "|\n"
	         "qubes-template-b|0|4|1|r|1|2026-1-1 0:0|GPL" REST "|\n",
	         2},
	        {"qubes-template-a|0|4|1|r|1|1|GPL|u|s", -TEMPLATE_E_FIELDS},
	        {"qubes-template-a|0|4|1|r|1|1|GPL|u|s|d|e", -TEMPLATE_E_FIELDS},
	        {"\n", -TEMPLATE_E_FIELDS},
	        {"qubes-template-a|0|4|1|r|1|1|GPL|u|s|\xc3\xa4", -TEMPLATE_E_TEXT},
	        {"template-a|0|4|1|r|1|1|GPL" REST, -TEMPLATE_E_NAME},
	        {"qubes-template-|0|4|1|r|1|1|GPL" REST, -TEMPLATE_E_NAME},
	        {"qubes-template--a|0|4|1|r|1|1|GPL" REST, -TEMPLATE_E_NAME},
	        {"qubes-template-a/b|0|4|1|r|1|1|GPL" REST, -TEMPLATE_E_NAME},
	        {"qubes-template-a|0:|4|1|r|1|1|GPL" REST, -TEMPLATE_E_VERSION},
	        {"qubes-template-a|0|4-1|1|r|1|1|GPL" REST, -TEMPLATE_E_VERSION},
	        {"qubes-template-a|0|4|1||1|1|GPL" REST, -TEMPLATE_E_REPOSITORY},
	        {"qubes-template-a|0|4|1|-r|1|1|GPL" REST, -TEMPLATE_E_REPOSITORY},
	        {"qubes-template-a|0|4|1|r||1|GPL" REST, -TEMPLATE_E_SIZE},
	        {"qubes-template-a|0|4|1|r|-1|1|GPL" REST, -TEMPLATE_E_SIZE},
	        {"qubes-template-a|0|4|1|r|1e9|1|GPL" REST, -TEMPLATE_E_SIZE},
	        {"qubes-template-a|0|4|1|r|1||GPL" REST, -TEMPLATE_E_BUILT},
	        {"qubes-template-a|0|4|1|r|1|2026-1-31|GPL" REST, -TEMPLATE_E_BUILT},
	        {"qubes-template-a|0|4|1|r|1|2026-1-31 7:05:00|GPL" REST, -TEMPLATE_E_BUILT},
	        {"qubes-template-a|0|4|1|r|1|26-1-31 7:05|GPL" REST, -TEMPLATE_E_BUILT},
	        {"qubes-template-a|0|4|1|r|1|1|" REST, -TEMPLATE_E_LICENSE},
	        {"qubes-template-a|0|4|1|r|1|1|GPL 2" REST, -TEMPLATE_E_LICENSE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		print_message("# row %zu\n", i);
		assert_int_equal(read_all(rows[i].text, strlen(rows[i].text)), rows[i].result);
	}
	/* Cut off anywhere, it is one record or wrong. */
	for (size_t len = 1; len < strlen(good); len++)
		assert_true(read_all(good, len) == 1 || read_all(good, len) < 0);
	assert_int_equal(read_all("a\0b", 3), -TEMPLATE_E_TEXT);
}

static void test_fields(void **state)
{
	static const char answer[] =
	        "qubes-template-debian-12|1|4.2|3|repo|1234|2026-1-31 7:05|GPL" REST "|\n";
	struct template_record record;
	size_t at = 0;

	assert_int_equal(template_next(answer, strlen(answer), &at, &record), TEMPLATE_OK);
	assert_int_equal(at, strlen(answer));
	assert_string_equal(record.name, "debian-12");
	assert_string_equal(record.epoch, "1");
	assert_string_equal(record.version, "4.2");
	assert_string_equal(record.release, "3");
	assert_string_equal(record.repository, "repo");
	assert_string_equal(record.built, "2026-1-31 7:05");
	assert_int_equal(record.size, 1234);
	assert_int_equal(record.summary_len, strlen("A template"));
	assert_memory_equal(record.untrusted_description, "What is in it,\n", 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_answers),
	        cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
