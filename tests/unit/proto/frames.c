/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, the policy service and its helpers misunderstand each other, or facts grow stale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/decision.h"
#include "proto/events.h"
#include "proto/facts.h"
#include "proto/policy.h"
#include "proto/prompt.h"

static uint8_t frame[65536];

static void test_facts_table(void **state)
{
	struct facts_head head = {.kind = FACTS_TABLE, .live = true, .generation = 9, .qubes = 1};
	static struct facts_qube qube = {.flags = FACTS_RUNNING, .n_tags = 2, .tags = {"a", "b"}},
	                         out;
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	struct wire_reader r;
	size_t i;

	for (i = 0; i < FACTS_TEXTS; i++)
		qube.text[i] = i == FACTS_NAME ? "work" : "x";
	facts_encode_head(&w, &head);
	facts_encode_qube(&w, &qube);
	assert_false(w.bad);
	r = wire_reader(frame, w.len);
	head = (struct facts_head){0};
	assert_int_equal(facts_decode_head(&r, &head), 0);
	assert_int_equal(head.generation, 9);
	assert_true(head.live);
	assert_int_equal(facts_decode_qube(&r, &out), 0);
	assert_true(wire_end(&r));
	assert_string_equal(out.text[FACTS_NAME], "work");
	assert_string_equal(out.tags[1], "b");
	for (i = 0; i < w.len; i++) {
		r = wire_reader(frame, i);
		assert_true(facts_decode_head(&r, &head) || facts_decode_qube(&r, &out) ||
		            !wire_end(&r));
	}
	qube.text[FACTS_NAME] = "";
	w = wire_writer(frame, sizeof(frame));
	facts_encode_qube(&w, &qube);
	r = wire_reader(frame, w.len);
	assert_int_equal(facts_decode_qube(&r, &out), -1);
}

static void test_prompt(void **state)
{
	struct prompt p = {.kind = PROMPT_ANSWER, .id = 3, .answer = "allow:vault"}, out;
	struct wire_writer w = wire_writer(frame, sizeof(frame));
	struct wire_reader r;
	size_t i;

	prompt_encode(&w, &p);
	for (i = 0; i < w.len; i++) {
		r = wire_reader(frame, i);
		assert_int_equal(prompt_decode(&r, &out), -1);
	}
	r = wire_reader(frame, w.len);
	assert_int_equal(prompt_decode(&r, &out), 0);
	assert_string_equal(out.answer, "allow:vault");
	r = wire_reader(frame, w.len + 1);
	assert_int_equal(prompt_decode(&r, &out), -1);
}

static void test_decision(void **state)
{
	struct decision_record d = {.verdict = POLICY_ALLOWED,
	                            .line = 4,
	                            .true_source = "work",
	                            .source = "work",
	                            .target = "",
	                            .requested = "@default",
	                            .service = "a.B+",
	                            .final = "vault",
	                            .file = "f",
	                            .reason = "",
	                            .asked = ""},
	                       out;
	ssize_t n = decision_record_encode(frame, sizeof(frame), &d), i;

	assert_true(n > 0);
	for (i = 0; i < n; i++)
		assert_int_equal(decision_record_decode(frame, (size_t)i, &out), -1);
	assert_int_equal(decision_record_decode(frame, (size_t)n, &out), 0);
	assert_string_equal(out.final, "vault");
	d.verdict = 3;
	n = decision_record_encode(frame, sizeof(frame), &d);
	assert_int_equal(decision_record_decode(frame, (size_t)n, &out), -1);
}

#define EVENT "1\0work\0domain-start\0start_guid\0None\0"

static void test_event_frames(void **state)
{
	static const char two[] = EVENT "\0" EVENT "\0";
	const ssize_t one = (ssize_t)sizeof(EVENT "");
	struct event event;
	ssize_t i;

	for (i = 0; i < one; i++)
		assert_int_equal(events_decode(two, (size_t)i, &event), 0);
	assert_int_equal(events_decode(two, (size_t)one, &event), one);
	assert_string_equal(event.subject, "work");
	assert_string_equal(event.name, "domain-start");
	assert_int_equal(events_decode(two + one, (size_t)one, &event), one);
	assert_int_equal(events_decode("2\0X", 3, &event), -1);
	assert_int_equal(events_decode("1x", 2, &event), -1);
}

static void test_event_names(void **state)
{
	static const char *const change[] = {
	        "connection-established",
	        "domain-add",
	        "domain-delete",
	        "domain-start",
	        "domain-shutdown",
	        "domain-tag-add:x",
	        "domain-feature-set:internal",
	        "property-set:guivm",
	        "property-reset:default_dispvm",
	        "property-del:relayvm",
	        "domain-paused",
	};
	static const char *const keep[] = {
	        "domain-pre-start", "property-pre-set:guivm", "property-set:memory",
	        "vm-stats",         "domain-feature-set:gui", "device-attach:block",
	        "backup-progress",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(change); i++)
		if (!events_change_facts(change[i]))
			fail_msg("ignored: %s", change[i]);
	for (i = 0; i < ARRAY_LEN(keep); i++)
		if (events_change_facts(keep[i]))
			fail_msg("not ignored: %s", keep[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_facts_table), cmocka_unit_test(test_prompt),
	        cmocka_unit_test(test_decision),    cmocka_unit_test(test_event_frames),
	        cmocka_unit_test(test_event_names),
	};

	return cmocka_run_group_tests_name("proto/frames", tests, NULL, NULL);
}
