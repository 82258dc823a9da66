/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a rule decides something else than the documentation says.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "services/policy/decide.h"
#include "tests/unit/services/policy/naive.h"

#define FILES_MAX 3

struct conformance {
	int number;
	struct {
		const char *path;
		const char *text;
	} files[FILES_MAX];
	const char *source;
	const char *target;
	const char *service;
	const char *claimed;
	const char *outcome;
	const char *says;
};

static const struct conformance cases[] = {
#include "tests/unit/services/policy/cases.inc"
};

#define U(n) "0000000" #n "-0000-4000-8000-000000000000"

/* System E of doc/protocol/policy.md, 21. */
static struct system *system_e(void)
{
	static const char *const d0[] = {"d0tag"};
	static const char *const w[] = {"w"};
	static const char *const wv[] = {"w", "v"};
	static const char *const dt[] = {"dt"};
	static const char *const dt2[] = {"dt2"};
	static const struct system_qube qubes[] = {
	        {.name = "dom0",
	         .uuid = SYSTEM_ZERO_UUID,
	         .type = "AdminVM",
	         .tags = d0,
	         .n_tags = 1,
	         .default_dispvm = "dvm",
	         .running = true},
	        {.name = "work",
	         .uuid = U(1),
	         .type = "AppVM",
	         .tags = w,
	         .n_tags = 1,
	         .default_dispvm = "dvm",
	         .running = true},
	        {.name = "vault", .uuid = U(2), .type = "AppVM", .tags = wv, .n_tags = 2},
	        {.name = "dvm",
	         .uuid = U(3),
	         .type = "AppVM",
	         .tags = dt,
	         .n_tags = 1,
	         .default_dispvm = "dvm",
	         .template_for_dispvms = true},
	        {.name = "dvm2",
	         .uuid = U(4),
	         .type = "AppVM",
	         .tags = dt2,
	         .n_tags = 1,
	         .default_dispvm = "dvm",
	         .template_for_dispvms = true},
	        {.name = "nodisp", .uuid = U(5), .type = "AppVM", .running = true},
	        {.name = "badd",
	         .uuid = U(6),
	         .type = "AppVM",
	         .default_dispvm = "work",
	         .running = true},
	        {.name = "int",
	         .uuid = U(7),
	         .type = "AppVM",
	         .default_dispvm = "dvm",
	         .running = true,
	         .internal = true},
	        {.name = "relay",
	         .uuid = U(8),
	         .type = "AppVM",
	         .default_dispvm = "dvm",
	         .running = true},
	        {.name = "rem",
	         .uuid = U(9),
	         .type = "RemoteVM",
	         .relayvm = "relay",
	         .transport_rpc = "tr.Rpc",
	         .running = true},
	        {.name = "rem2",
	         .uuid = "00000010-0000-4000-8000-000000000000",
	         .type = "RemoteVM",
	         .running = true},
	};
	struct system *system = system_new();

	assert_non_null(system);
	for (size_t i = 0; i < ARRAY_LEN(qubes); i++)
		assert_int_equal(system_add(system, &qubes[i]), 0);
	assert_int_equal(system_seal(system), 0);
	return system;
}

static struct policy *load_case(const struct conformance *c, struct policy_fault *fault)
{
	static const char *const dirs[] = {"/run", "/etc"};
	char paths[FILES_MAX][64];
	struct policy_memory_file files[FILES_MAX + 3] = {{.path = "/run/x", .data = ""},
	                                                  {.path = "/etc/x", .data = ""},
	                                                  {.path = "/legacy/inc/x", .data = ""}};
	struct policy_memory memory = {files, 3};
	struct policy_files source = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = "/legacy"};

	for (size_t i = 0; i < FILES_MAX && c->files[i].path; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "/%s", c->files[i].path);
		files[memory.n++] = (struct policy_memory_file){paths[i], c->files[i].text,
		                                                strlen(c->files[i].text)};
	}
	return policy_load(&place, &source, fault);
}

static void describe_ask(const struct decision *d, char *out, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < d->offers->n; i++)
		n += (size_t)snprintf(out + n, max - n, "%s ", d->offers->list[i]);
	(void)snprintf(out + n, max - n, "| %s",
	               d->offers->default_index == NO_ID
	                       ? "None"
	                       : d->offers->list[d->offers->default_index]);
}

static void describe(struct view *view, const struct policy_question *question, struct decision *d,
                     const char **ret_outcome, char *says, size_t max)
{
	static struct policy_answer answer;
	ssize_t n;

	if (d->kind == DECISION_ASK) {
		*ret_outcome = "ask";
		describe_ask(d, says, max);
		return;
	}
	if (d->kind == DECISION_DENY) {
		*ret_outcome = d->notify ? "deny notify" : "deny";
		(void)snprintf(says, max, "%s", refusal_name(d->reason));
		return;
	}
	decision_execute(view, d, question, &answer);
	*ret_outcome = d->kind == DECISION_ALLOW ? "allow" : "execute";
	n = policy_encode_text(says, max - 1, &answer, false);
	says[n < 0 ? 0 : n] = '\0';
	if (d->kind == DECISION_DENY)
		(void)snprintf(says, max, "%s", refusal_name(d->reason));
}

static void check_case(const struct conformance *c)
{
	struct policy_question question = {.source = c->source,
	                                   .requested_source = c->claimed,
	                                   .target = c->target,
	                                   .service = c->service};
	struct policy_fault fault;
	struct policy *policy = load_case(c, &fault);
	struct system *system = system_e();
	const char *outcome = "load";
	struct decision d;
	char says[2048];
	struct view *view;

	if (!policy) {
		(void)snprintf(says, sizeof(says), "%s%s%s", fault_kind_name(fault.kind),
		               fault.code ? ":" : "",
		               fault.code ? fault_code_name(fault.code) : "");
	} else {
		view = view_new(policy, system);
		assert_non_null(view);
		policy_decide(view, &question, &d);
		describe(view, &question, &d, &outcome, says, sizeof(says));
		(void)view_free(view);
	}
	/* Where the original dies, any refusal is right. */
	if (strcmp(c->outcome, "refused") == 0) {
		assert_int_equal(d.kind, DECISION_DENY);
	} else {
		assert_string_equal(outcome, c->outcome);
		assert_string_equal(says, c->says);
	}
	(void)policy_unref(policy);
	(void)system_unref(system);
}

static void test_case(void **state)
{
	check_case(*state);
}

/* Words of every kind, for the exhaustive and the random policies. */
static const char *const sources[] = {"*",          "@anyvm", "@adminvm",    "dom0", "work",
                                      "uuid:" U(2), "@tag:w", "@type:AppVM", "gone", "@dispvm:dvm"};
static const char *const targets[] = {"*",
                                      "@anyvm",
                                      "@adminvm",
                                      "@default",
                                      "@dispvm",
                                      "vault",
                                      "uuid:" U(2),
                                      "@tag:v",
                                      "@type:AdminVM",
                                      "@dispvm:dvm",
                                      "@dispvm:uuid:" U(3),
                                      "@dispvm:@tag:dt",
                                      "gone"};
static const char *const services[] = {"a.B *", "a.B +x", "a.B +", "c.D *", "* *"};
static const char *const ask_sources[] = {"work", "vault", "dom0", "nodisp", "gone", "badd"};
static const char *const ask_targets[] = {"@default", "@dispvm", "@adminvm",    "dom0",
                                          "vault",    "work",    "@dispvm:dvm", "@dispvm:dvm2"};
static const char *const ask_services[] = {"a.B+", "a.B+x", "c.D+y", "z.Z+"};

static void compare_all(const char *text, struct system *system)
{
	static const char *const dirs[] = {"/etc"};
	struct policy_memory_file file = {"/etc/1.policy", text, strlen(text)};
	struct policy_memory memory = {&file, 1};
	struct policy_files files = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = "/legacy"};
	struct policy_fault fault;
	struct policy *policy = policy_load(&place, &files, &fault);
	struct view *view;

	assert_non_null(policy);
	view = view_new(policy, system);
	assert_non_null(view);
	for (size_t s = 0; s < ARRAY_LEN(ask_sources); s++) {
		for (size_t i = 0; i < ARRAY_LEN(ask_targets) * ARRAY_LEN(ask_services); i++) {
			const char *target = ask_targets[i % ARRAY_LEN(ask_targets)];
			const char *service = ask_services[i / ARRAY_LEN(ask_targets)];
			const char *plus = strchr(service, '+');
			struct policy_question question = {.source = ask_sources[s],
			                                   .requested_source = "",
			                                   .target = target,
			                                   .service = service};
			char name[32];
			struct decision d;
			uint32_t want;

			(void)snprintf(name, sizeof(name), "%.*s", (int)(plus - service), service);
			policy_decide(view, &question, &d);
			want = naive_rule(policy, system, ask_sources[s], target, name, plus);
			assert_int_equal(d.rule ? policy_rule_index(policy, d.rule) : NO_ID, want);
			assert_ptr_equal(policy_next_match(view, &d, NULL), d.rule);
		}
	}
	(void)view_free(view);
	(void)policy_unref(policy);
}

/* Every policy of two rules over these words, one of the rules fixed to a service each. */
static void test_exhaustive(void **state)
{
	struct system *system = system_e();
	size_t n_rules = ARRAY_LEN(sources) * ARRAY_LEN(targets);
	char text[512];

	for (size_t a = 0; a < n_rules; a++) {
		for (size_t b = 0; b < n_rules; b++) {
			(void)snprintf(text, sizeof(text), "a.B * %s %s deny\na.B %s %s %s deny\n",
			               sources[a % ARRAY_LEN(sources)],
			               targets[a / ARRAY_LEN(sources)], b & 1 ? "+x" : "*",
			               sources[b % ARRAY_LEN(sources)],
			               targets[b / ARRAY_LEN(sources)]);
			compare_all(text, system);
		}
	}
	(void)system_unref(system);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

/* Long policies, so that the tables of big nodes are used; seeded, so that a failure comes again. */
static void test_random(void **state)
{
	struct system *system = system_e();
	static char text[65536];
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		uint32_t n = 1 + next_random(&seed) % 300;
		size_t len = 0;

		for (uint32_t i = 0; i < n; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s %s %s\n",
			                        services[next_random(&seed) % ARRAY_LEN(services)],
			                        sources[next_random(&seed) % ARRAY_LEN(sources)],
			                        targets[next_random(&seed) % ARRAY_LEN(targets)],
			                        next_random(&seed) % 2 ? "deny"
			                                               : "ask target=vault");
		compare_all(text, system);
	}
	(void)system_unref(system);
}

static int run_conformance(void)
{
	struct CMUnitTest tests[ARRAY_LEN(cases)];
	static char names[ARRAY_LEN(cases)][16];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "policy-%02d", cases[i].number);
		tests[i] = (struct CMUnitTest){.name = names[i],
		                               .test_func = test_case,
		                               .initial_state = (void *)(uintptr_t)&cases[i]};
	}
	return cmocka_run_group_tests_name("services/policy conformance", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_exhaustive),
	        cmocka_unit_test(test_random),
	};

	/* Two groups would be two plans in one output of TAP: one program, run twice. */
	if (argc > 1)
		return run_conformance();
	return cmocka_run_group_tests_name("services/policy", tests, NULL, NULL);
}
