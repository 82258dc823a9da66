/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The XML of store files: if this failed, a restore would take other settings than were saved. */
#include "services/backup/xml.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define OPEN_4   "<a><a><a><a>"
#define CLOSE_4  "</a></a></a></a>"
#define TOO_DEEP (OPEN_4 OPEN_4 OPEN_4 OPEN_4 "<a/>" CLOSE_4 CLOSE_4 CLOSE_4 CLOSE_4)

static char trace[1024];

static int begin(void *arg UNUSED, const struct xml_element *e)
{
	size_t at = strlen(trace);

	at += (size_t)snprintf(trace + at, sizeof(trace) - at, "<%s", e->name);
	for (size_t i = 0; i < e->n_attrs; i++)
		at += (size_t)snprintf(trace + at, sizeof(trace) - at, " %s=[%s]", e->attrs[i].name,
		                       e->attrs[i].value);
	(void)snprintf(trace + at, sizeof(trace) - at, ">");
	return 0;
}

static int end(void *arg UNUSED, const char *name, const char *text)
{
	size_t at = strlen(trace);

	(void)snprintf(trace + at, sizeof(trace) - at, "(%s)/%s ", text, name);
	return 0;
}

static int read_text(const char *text)
{
	const struct xml_reader r = {.begin = begin, .end = end};

	trace[0] = '\0';
	return xml_read(text, strlen(text), &r);
}

static void test_document(void **state UNUSED)
{
	assert_int_equal(read_text("<?xml version='1.0'?>\n<a b=\"1 &lt; 2\" c='&#65;'>x &amp; "
	                           "&#x263a;<d/>y</a>\n"),
	                 0);
	assert_string_equal(trace, "<a b=[1 < 2] c=[A]><d>()/d (x & \xe2\x98\xbay)/a ");
}

static void test_refused(void **state UNUSED)
{
	static const char *const bad[] = {"",
	                                  "x",
	                                  "<a>",
	                                  "</a>",
	                                  "<a></b>",
	                                  "<a><b></a></b>",
	                                  "<a/><b/>",
	                                  "<a b=1/>",
	                                  "<a b='1' b='2'/>",
	                                  "<a b='1'c='2'/>",
	                                  "<a>&x;</a>",
	                                  "<a>&#0;</a>",
	                                  "<a>&#xd800;</a>",
	                                  "<a>&#x110000;</a>",
	                                  "<a>&amp</a>",
	                                  "<a>\x01</a>",
	                                  "<a>\x80</a>",
	                                  "<a>\xc0\x80</a>",
	                                  "<a>\xed\xa0\x80</a>",
	                                  "<!DOCTYPE a><a/>",
	                                  "<a b='<'/>",
	                                  "<a>&#99999999999;</a>",
	                                  TOO_DEEP};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (read_text(bad[i]) == 0)
			fail_msg("taken: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_document),
	        cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
