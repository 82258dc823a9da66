/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a verdict depends on what was asked before, or a click leads around a deny. Random
 * policies, facts and questions, seeded so that a failure comes again; what must hold is in
 * invariants.c, which the fuzz target policy_decide shares.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "services/policy/decide.h"
#include "tests/unit/services/policy/invariants.h"

#define PICK(list, seed) (list)[next_random(seed) % ARRAY_LEN(list)]
#define Z                SYSTEM_ZERO_UUID
#define ZERO             ("uuid:" SYSTEM_ZERO_UUID)

static const char *const sources[] = {"*",           "@anyvm", "@adminvm", "dom0",
                                      "work",        "uuid:2", "@tag:w",   "@type:AppVM",
                                      "@dispvm:dvm", "gone",   ZERO};
static const char *const targets[] = {"*",
                                      "@anyvm",
                                      "@adminvm",
                                      "@default",
                                      "@dispvm",
                                      "vault",
                                      "uuid:2",
                                      ZERO,
                                      "@tag:w",
                                      "@tag:d",
                                      "@type:AdminVM",
                                      "@dispvm:dvm",
                                      "@dispvm:uuid:3",
                                      "@dispvm:work",
                                      "@dispvm:gone",
                                      "@dispvm:@tag:w",
                                      "gone",
                                      "dom0",
                                      "far"};
static const char *const redirects[] = {"vault",       "dom0",         "@adminvm",     "@dispvm",
                                        "@dispvm:dvm", "@dispvm:gone", "uuid:2",       "far",
                                        "work",        ZERO,           "@dispvm:work", "gone"};
static const char *const services[] = {"a.B *", "a.B +x", "a.B +", "c.D *", "* *"};
static const char *const asked[] = {"",       "@default",    "@dispvm",     "@adminvm",     "dom0",
                                    "vault",  "uuid:2",      "@dispvm:dvm", "@dispvm:gone", "far",
                                    "work",   "nobody",      ZERO,          "@anyvm",       "far2",
                                    "uuid:1", "@dispvm:work"};
static const char *const callers[] = {"work", "vault", "dom0", "far", "dvm", "nobody"};
static const char *const asked_services[] = {"a.B", "a.B+x", "a.B+y", "c.D", "z"};
static const char *const claims[] = {"", "", "", "far", "far2", "vault", "nobody"};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

static struct system *random_system(uint32_t *seed)
{
	static const char *const tags[] = {"w", "d", "x"};
	static const char *const disps[] = {"dvm", "gone", "work", "far", NULL, ""};
	static const char *const names[] = {"dom0", "work", "vault", "dvm", "far", "far2", "more"};
	static const char *const uuids[] = {Z, "1", "2", "3", "4", NULL, "6"};
	struct system *system = system_new();

	assert_non_null(system);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool remote = strncmp(names[i], "far", 3) == 0;
		uint32_t first = next_random(seed) % 3;
		struct system_qube qube = {
		        .name = names[i],
		        .uuid = next_random(seed) % 8 ? uuids[i] : NULL,
		        .type = i == 0   ? "AdminVM"
		                : remote ? "RemoteVM"
		                         : "AppVM",
		        .tags = tags + first,
		        .n_tags = next_random(seed) % (4 - first),
		        .template_for_dispvms = next_random(seed) % 3 == 0,
		        .internal = next_random(seed) % 6 == 0,
		        .running = next_random(seed) % 2,
		        .default_dispvm = PICK(disps, seed),
		        .relayvm = remote && next_random(seed) % 3 ? "work" : NULL,
		        .transport_rpc = remote && next_random(seed) % 3 ? "t.R" : NULL,
		};

		/* Now and then one is missing, dom0 too. */
		if (next_random(seed) % 12)
			assert_int_equal(system_add(system, &qube), 0);
	}
	assert_int_equal(system_seal(system), 0);
	return system;
}

static size_t random_rule(char *out, size_t max, uint32_t *seed, bool with_redirects)
{
	static const char *const actions[] = {"allow", "ask", "deny"};
	const char *action = PICK(actions, seed);
	const char *target = PICK(targets, seed);
	bool deny = strcmp(action, "deny") == 0;
	bool redirect = !deny && with_redirects && next_random(seed) % 3 == 0;

	if (strcmp(target, "@default") == 0 && strcmp(action, "allow") == 0 && !redirect)
		action = "ask";
	return (size_t)snprintf(out, max, "%s %s %s %s%s%s%s%s%s%s\n", PICK(services, seed),
	                        PICK(sources, seed), target, action, redirect ? " target=" : "",
	                        redirect ? PICK(redirects, seed) : "",
	                        strcmp(action, "ask") == 0 ? " default_target=" : "",
	                        strcmp(action, "ask") == 0 ? PICK(redirects, seed) : "",
	                        !deny && next_random(seed) % 4 == 0 ? " autostart=no" : "",
	                        next_random(seed) % 4 == 0 ? " notify=yes" : "");
}

static struct policy *load_text(const char *text)
{
	static const char *const dirs[] = {"/etc"};
	struct policy_memory_file file = {"/etc/1.policy", text, strlen(text)};
	struct policy_memory memory = {&file, 1};
	struct policy_files files = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = "/legacy"};
	struct policy_fault fault;
	struct policy *policy = policy_load(&place, &files, &fault);

	if (!policy)
		print_message("%u: %s\n%s", fault.line, fault.text, text);
	assert_non_null(policy);
	return policy;
}

static struct policy *random_policy(uint32_t *seed)
{
	static char text[16384];
	uint32_t n = next_random(seed) % (next_random(seed) % 8 ? 8 : 100);
	bool with_redirects = next_random(seed) % 2;
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		len += random_rule(text + len, sizeof(text) - len, seed, with_redirects);
	return load_text(text);
}

static void test_invariants(void **state)
{
	uint32_t seed = 7;

	for (int round = 0; round < 3000; round++) {
		struct policy *policy = random_policy(&seed);
		struct system *system = random_system(&seed);
		struct view *view = view_new(policy, system);
		uint32_t start = seed;

		assert_non_null(view);
		for (int i = 0; i < 40; i++) {
			struct policy_question question = {.source = PICK(callers, &seed),
			                                   .requested_source = PICK(claims, &seed),
			                                   .target = PICK(asked, &seed),
			                                   .service = PICK(asked_services, &seed)};
			const char *wrong = invariants_broken(view, &question);

			if (wrong)
				print_message("round %d, seed %u: %s -> %s, %s: %s\n", round, start,
				              question.source, question.target, question.service,
				              wrong);
			assert_null(wrong);
		}
		(void)view_free(view);
		(void)policy_unref(policy);
		(void)system_unref(system);
	}
}

#define REMOTE .type = "RemoteVM", .uuid = "9"

/* A line in a fact or a service would be a line of the answer, which decides: nothing is said. */
static void test_injection(void **state)
{
	static const struct {
		struct system_qube qube;
		const char *target;
		const char *service;
		enum decision_kind kind;
	} cases[] = {
	        {{.name = "odd", .uuid = "9"}, "odd", "a.B+\n", DECISION_ALLOW},
	        {{.name = "odd", .uuid = "9\nuser=root"}, "odd", "a.B", DECISION_DENY},
	        {{.name = "odd\nuser=root", .uuid = "9"}, "odd\nuser=root", "a.B", DECISION_DENY},
	        {{.name = "odd\xff", .uuid = "9"}, "odd\xff", "a.B", DECISION_DENY},
	        {{.name = "odd", REMOTE, .relayvm = "work", .transport_rpc = "t.R"},
	         "odd",
	         "a.B",
	         DECISION_ALLOW},
	        {{.name = "odd", REMOTE, .relayvm = "work", .transport_rpc = "t.R"},
	         "odd",
	         "a.B+\nuser=root",
	         DECISION_DENY},
	        {{.name = "odd", REMOTE, .relayvm = "work", .transport_rpc = "t.R\nuser=root"},
	         "odd",
	         "a.B",
	         DECISION_DENY},
	        {{.name = "odd\n", REMOTE, .relayvm = "work", .transport_rpc = "t.R"},
	         "odd\n",
	         "a.B",
	         DECISION_DENY},
	        {{.name = "odd", REMOTE, .relayvm = "odd\n", .transport_rpc = "t.R"},
	         "odd",
	         "a.B",
	         DECISION_DENY},
	};
	static struct policy_answer answer;
	struct policy *policy = load_text("* * * * allow\n");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct policy_question question = {.source = "work",
		                                   .requested_source = "",
		                                   .target = cases[i].target,
		                                   .service = cases[i].service};
		struct system_qube work = {.name = "work", .uuid = "1"};
		struct system *system = system_new();
		struct decision d;
		struct view *view;

		assert_non_null(system);
		assert_int_equal(system_add(system, &work), 0);
		assert_int_equal(system_add(system, &cases[i].qube), 0);
		assert_int_equal(system_seal(system), 0);
		view = view_new(policy, system);
		assert_non_null(view);
		policy_decide(view, &question, &d);
		assert_int_equal(d.kind, DECISION_ALLOW);
		decision_execute(view, &d, &question, &answer);
		assert_int_equal(d.kind, cases[i].kind);
		assert_int_equal(answer.verdict,
		                 d.kind == DECISION_ALLOW ? POLICY_ALLOWED : POLICY_NO_ANSWER);
		(void)view_free(view);
		(void)system_unref(system);
	}
	(void)policy_unref(policy);
}

/* More lists than the cache has places: some are thrown out, and made again the same. */
static void test_cache_full(void **state)
{
	struct policy *policy = load_text("a.B * @anyvm @anyvm ask\na.B * @tag:w @dispvm deny\n");
	struct system *system = system_new();
	struct view *view;
	char name[16];

	assert_non_null(system);
	for (unsigned i = 0; i < 700; i++) {
		(void)snprintf(name, sizeof(name), "q%u", i);
		assert_int_equal(system_add(system, &(struct system_qube){.name = name}), 0);
	}
	assert_int_equal(system_seal(system), 0);
	view = view_new(policy, system);
	assert_non_null(view);
	for (unsigned i = 0; i < 1400; i++) {
		struct policy_question question = {
		        .source = name, .requested_source = "", .target = "", .service = "a.B"};
		struct decision d;

		(void)snprintf(name, sizeof(name), "q%u", i % 700);
		policy_decide(view, &question, &d);
		assert_int_equal(d.kind, DECISION_ASK);
		assert_int_equal(d.offers->n, 699);
		assert_false(offers_have(d.offers, name));
	}
	(void)view_free(view);
	(void)policy_unref(policy);
	(void)system_unref(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_invariants),
	        cmocka_unit_test(test_injection),
	        cmocka_unit_test(test_cache_full),
	};

	return cmocka_run_group_tests_name("services/policy properties", tests, NULL, NULL);
}
