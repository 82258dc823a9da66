/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a bound is not kept, a text is taken for another, or a fault is named wrongly.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/decide.h"
#include "services/policy/parse.h"
#include "services/policy/text.h"

static struct policy *load_files(const struct policy_memory_file *list, size_t n,
                                 struct policy_fault *fault)
{
	static const char *const dirs[] = {"/etc"};
	static struct policy_memory_file files[600];
	struct policy_memory memory = {files, n};
	struct policy_files source = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = "/legacy"};

	assert_true(n <= ARRAY_LEN(files));
	for (size_t i = 0; i < n; i++) {
		files[i] = list[i];
		if (files[i].len == 0)
			files[i].len = strlen(files[i].data);
	}
	return policy_load(&place, &source, fault);
}

static struct policy *load_text(const char *text, struct policy_fault *fault)
{
	struct policy_memory_file file = {"/etc/1.policy", text, 0};

	return load_files(&file, 1, fault);
}

/* One more than a bound: a fault, and not a crash. */
static void test_depth(void **state)
{
	static struct policy_memory_file files[POLICY_DEPTH_MAX + 1];
	static char paths[POLICY_DEPTH_MAX + 1][32];
	static char texts[POLICY_DEPTH_MAX + 1][32];
	struct policy_fault fault;
	struct policy *policy;
	uint32_t last = POLICY_DEPTH_MAX;

	for (uint32_t i = 0; i <= last; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), i ? "/etc/i%u" : "/etc/0.policy", i);
		(void)snprintf(texts[i], sizeof(texts[i]), "!include i%u\n", i + 1);
		files[i] = (struct policy_memory_file){paths[i], texts[i], 0};
	}
	(void)snprintf(texts[last - 1], sizeof(texts[0]), "a.B * * * deny\n");
	policy = load_files(files, last, &fault);
	assert_non_null(policy);
	assert_int_equal(policy_n_rules(policy), 1);
	(void)policy_unref(policy);
	(void)snprintf(texts[last - 1], sizeof(texts[0]), "!include i%u\n", last);
	(void)snprintf(texts[last], sizeof(texts[0]), "a.B * * * deny\n");
	assert_null(load_files(files, last + 1, &fault));
	assert_int_equal(fault.kind, FAULT_RECURSION);
	assert_string_equal(fault.file, paths[last - 1]);
	assert_int_equal(fault.line, 1);
	assert_int_equal(fault.column, 10);
}

/* A file included so often that the whole would have a million rules and more. */
static void test_rules(void **state)
{
	static char text[POLICY_RULES_MAX / 500 * 16];
	static char includes[600 * 16];
	struct policy_memory_file files[] = {{"/etc/1.policy", includes, 0}, {"/etc/i", text, 0}};
	struct policy_fault fault;

	for (uint32_t i = 0; i < POLICY_RULES_MAX / 500; i++)
		memcpy(text + (size_t)i * 15, "a.B * * * deny\n", 16);
	for (uint32_t i = 0; i < 501; i++)
		memcpy(includes + (size_t)i * 11, "!include i\n", 12);
	assert_null(load_files(files, 2, &fault));
	assert_int_equal(fault.kind, FAULT_LIMIT);
	assert_string_equal(fault.file, "/etc/i");
}

static void test_includes(void **state)
{
	static char text[500 * 13 + 1];
	static char more[500 * 13 + 1];
	struct policy_memory_file files[] = {{"/etc/1.policy", text, 0},
	                                     {"/etc/i1", more, 0},
	                                     {"/etc/i2", "#\n", 0}};
	struct policy_fault fault;

	for (size_t i = 0; i < 500; i++) {
		memcpy(text + i * 12, "!include i1\n", 13);
		memcpy(more + i * 12, "!include i2\n", 13);
	}
	assert_null(load_files(files, 3, &fault));
	assert_int_equal(fault.kind, FAULT_LIMIT);
}

static void test_total(void **state)
{
	static char big[POLICY_FILE_MAX];
	static char text[32 * 16];
	struct policy_memory_file files[] = {{"/etc/1.policy", text, 0},
	                                     {"/etc/i", big, sizeof(big)}};
	struct policy_fault fault;

	memset(big, '#', sizeof(big));
	for (size_t i = 0; i < 16; i++)
		memcpy(text + i * 11, "!include i\n", 12);
	assert_null(load_files(files, 2, &fault));
	assert_int_equal(fault.kind, FAULT_LIMIT);
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"",
	                                   "a",
	                                   "\xc2\x80",
	                                   "\xdf\xbf",
	                                   "\xe0\xa0\x80",
	                                   "\xed\x9f\xbf",
	                                   "\xee\x80\x80",
	                                   "\xef\xbf\xbf",
	                                   "\xf0\x90\x80\x80",
	                                   "\xf4\x8f\xbf\xbf",
	                                   "\xf1\x80\x80\x80"};
	static const char *const bad[] = {"\x80",
	                                  "\xbf",
	                                  "\xc0\x80",
	                                  "\xc1\xbf",
	                                  "\xc2",
	                                  "\xc2\x7f",
	                                  "\xc2\xc0",
	                                  "\xe0\x80\x80",
	                                  "\xe0\x9f\xbf",
	                                  "\xe1\x80",
	                                  "\xe1\x80\x7f",
	                                  "\xed\xa0\x80",
	                                  "\xed\xbf\xbf",
	                                  "\xf0\x80\x80\x80",
	                                  "\xf0\x8f\xbf\xbf",
	                                  "\xf1\x80\x80",
	                                  "\xf1\x80\x80\xc0",
	                                  "\xf4\x90\x80\x80",
	                                  "\xf5\x80\x80\x80",
	                                  "\xff",
	                                  "a\xc3",
	                                  "\xe1\xc0\x80"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(text_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_utf8(bad[i], strlen(bad[i])));
}

/* Exactly the white space of the language: each separates, its neighbours do not. */
static void test_space(void **state)
{
	static const char *const spaces[] = {
	        "\t",           "\x0b",         "\x0c",         "\x1c",
	        "\x1d",         "\x1e",         "\x1f",         " ",
	        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80",
	        "\xe2\x80\x85", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
	        "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
	static const char *const others[] = {
	        "\x08",         "\x1b",         "\x21",         "\xc2\x84",     "\xc2\x86",
	        "\xc2\xa1",     "\xe1\x9a\x81", "\xe1\x99\xbf", "\xe2\x80\x8b", "\xe2\x80\xa7",
	        "\xe2\x80\xaa", "\xe2\x80\xb0", "\xe2\x81\x9e", "\xe2\x81\xa0", "\xe3\x80\x81",
	        "\xef\xbb\xbf", "\xe2",         "\xe3\x80",     "\xc2",         ""};

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		size_t len = strlen(spaces[i]);

		assert_int_equal(text_space(spaces[i], spaces[i] + len), len);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(text_space(others[i], others[i] + strlen(others[i])), 0);
}

static void test_parameters(void **state)
{
	struct policy_fault fault;
	char many[512] = "a.B * work vault allow";

	/* More keys than there are: the first unknown one, or the one too many, is named. */
	for (char c = 'a'; c <= 'z'; c++)
		(void)snprintf(many + strlen(many), sizeof(many) - strlen(many), " %c=1", c);
	assert_null(load_text(many, &fault));
	assert_int_equal(fault.code, CODE_PARAM_NOT_ALLOWED);
	assert_null(load_text("a.B * work vault allow x=1 x=1", &fault));
	assert_int_equal(fault.code, CODE_PARAM_DUPLICATE);
	assert_null(load_text("a.B * work vault allow autostart=maybe", &fault));
	assert_int_equal(fault.code, CODE_PARAM_BOOL);
	assert_null(load_text("!include", &fault));
	assert_int_equal(fault.code, CODE_DIRECTIVE_PARAMS);
	assert_null(load_text("!include-service a.B * x y", &fault));
	assert_int_equal(fault.code, CODE_DIRECTIVE_PARAMS);
	assert_null(load_text("!include-service a+B * x", &fault));
	assert_int_equal(fault.code, CODE_SERVICE_CHARS);
}

/* A rule printed is the rule written; too little room cuts it and says how long it is. */
static void test_format(void **state)
{
	static const char *const rules[] = {
	        "a.B * work vault allow", "* * @anyvm @adminvm deny notify=no",
	        "a.B + @tag:t @default ask target=@dispvm user=u notify=yes autostart=no",
	        "a.B + @tag:t @default ask default_target=dom0",
	        "a.B +x uuid:1 @dispvm:@tag:t allow autostart=yes"};
	struct policy_fault fault;

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct policy *policy = load_text(rules[i], &fault);
		char line[256];

		assert_non_null(policy);
		assert_int_equal(policy_format_rule(policy, policy_rule(policy, 0), line,
		                                    sizeof(line)),
		                 strlen(rules[i]));
		assert_string_equal(line, rules[i]);
		assert_int_equal(policy_format_rule(policy, policy_rule(policy, 0), line, 8),
		                 strlen(rules[i]));
		assert_int_equal(strlen(line), 7);
		(void)policy_unref(policy);
	}
}

static void test_faults_named(void **state)
{
	struct policy_fault fault = {.kind = FAULT_IO};
	char text[64];

	for (int kind = FAULT_NONE; kind <= FAULT_MEMORY; kind++)
		assert_true(fault_kind_name((enum fault_kind)kind)[0]);
	for (int code = CODE_NONE; code < CODE_MAX; code++)
		assert_true(fault_code_name((enum fault_code)code)[0]);
	for (int refusal = REFUSAL_NONE; refusal < REFUSAL_MAX; refusal++)
		assert_true(refusal_name((enum refusal)refusal)[0]);
	(void)snprintf(fault.text, sizeof(fault.text), "what");
	(void)policy_fault_format(&fault, text, sizeof(text));
	assert_string_equal(text, "what");
	(void)snprintf(fault.file, sizeof(fault.file), "f");
	(void)policy_fault_format(&fault, text, sizeof(text));
	assert_string_equal(text, "f: what");
	fault.line = 3;
	(void)policy_fault_format(&fault, text, sizeof(text));
	assert_string_equal(text, "f:3: what");
	fault.column = 4;
	(void)policy_fault_format(&fault, text, sizeof(text));
	assert_string_equal(text, "f:3:4: what");
	/* A long word is cut between characters. */
	assert_null(load_text(
	        "a.B * work vault \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82"
	        "\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82"
	        "\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
	        &fault));
	assert_true(text_utf8(fault.text, strlen(fault.text)));
	assert_int_equal(fault.length, 15);
}

static void test_system(void **state)
{
	static char too_long[SYSTEM_TEXT_MAX + 2];
	const char *const names[] = {"", "@x", "a:b", "*", too_long};
	static const char *tags[SYSTEM_TAGS_MAX + 1];
	struct system *system = system_new();
	struct system_qube qube = {.name = "ok", .uuid = "1"};

	memset(too_long, 'x', sizeof(too_long) - 1);
	assert_non_null(system);
	assert_int_equal(system_add(system, &qube), 0);
	assert_int_equal(system_add(system, &qube), -1);
	assert_int_equal(errno, EEXIST);
	qube.name = "other";
	assert_int_equal(system_add(system, &qube), -1);
	assert_int_equal(errno, EEXIST);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(system_add(system, &(struct system_qube){.name = names[i]}), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(system_add(system, &(struct system_qube){0}), -1);
	assert_int_equal(system_add(system, &(struct system_qube){.name = "t", .icon = names[4]}),
	                 -1);
	assert_int_equal(errno, E2BIG);
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		tags[i] = "t";
	qube = (struct system_qube){.name = "u", .tags = tags, .n_tags = ARRAY_LEN(tags)};
	assert_int_equal(system_add(system, &qube), -1);
	tags[1] = names[4];
	qube = (struct system_qube){.name = "v", .tags = tags, .n_tags = 2};
	assert_int_equal(system_add(system, &qube), -1);
	/* The zero uuid is dom0's. */
	qube = (struct system_qube){.name = "w", .uuid = SYSTEM_ZERO_UUID};
	assert_int_equal(system_add(system, &qube), 0);
	assert_int_equal(system_find(system, "uuid:" SYSTEM_ZERO_UUID, 41), NO_ID);
	assert_true(system_find(system, "w", 1) != NO_ID);
	assert_int_equal(system_find(system, "uuid:1", 6), system_find(system, "ok", 2));
	assert_ptr_equal(system_unref(system_ref(system)), NULL);
	(void)system_unref(system);
}

static void test_system_full(void **state)
{
	struct system *system = system_new();
	char name[16];

	assert_non_null(system);
	for (uint32_t i = 0; i <= SYSTEM_QUBES_MAX; i++) {
		struct system_qube qube = {.name = name};

		(void)snprintf(name, sizeof(name), "q%u", i);
		assert_int_equal(system_add(system, &qube), i == SYSTEM_QUBES_MAX ? -1 : 0);
	}
	assert_int_equal(errno, E2BIG);
	(void)system_unref(system);
}

static void test_refuse(void **state)
{
	struct policy_question question = {
	        .source = "work", .requested_source = "", .target = "vault", .service = "a.B"};
	struct policy_fault fault;
	struct policy *policy =
	        load_text("a.B * work vault ask notify=yes\nc.D * * * deny\n", &fault);
	struct system *system = system_new();
	struct view *view;
	struct decision d;
	struct offers *offers;

	assert_non_null(policy);
	assert_int_equal(system_add(system, &(struct system_qube){.name = "work"}), 0);
	assert_int_equal(system_add(system, &(struct system_qube){.name = "vault"}), 0);
	assert_int_equal(system_seal(system), 0);
	view = view_new(policy, system);
	assert_non_null(view);
	policy_decide(view, &question, &d);
	assert_int_equal(d.kind, DECISION_ASK);
	assert_true(view_rule_applies(view, &d, policy_rule(policy, 0)));
	assert_false(view_rule_applies(view, &d, policy_rule(policy, 1)));
	decision_refuse(&d);
	assert_int_equal(d.reason, REFUSAL_USER_REFUSED);
	assert_true(d.notify);
	policy_decide(view, &question, &d);
	offers = offers_ref(d.offers);
	decision_choose(view, &d, offers, "work");
	assert_int_equal(d.reason, REFUSAL_INVALID_CHOICE);
	assert_true(d.notify);
	(void)offers_unref(offers);
	(void)view_free(view);
	assert_null(view_free(NULL));
	(void)policy_unref(policy);
	(void)system_unref(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_depth),        cmocka_unit_test(test_rules),
	        cmocka_unit_test(test_includes),     cmocka_unit_test(test_total),
	        cmocka_unit_test(test_utf8),         cmocka_unit_test(test_space),
	        cmocka_unit_test(test_parameters),   cmocka_unit_test(test_format),
	        cmocka_unit_test(test_faults_named), cmocka_unit_test(test_system),
	        cmocka_unit_test(test_system_full),  cmocka_unit_test(test_refuse),
	};

	return cmocka_run_group_tests_name("services/policy details", tests, NULL, NULL);
}
