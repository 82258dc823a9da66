/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/decide.h"

/*
 * A whole policy from memory, then questions to it. The input is up to four files with a byte 0xff
 * between them. Every decision is compared with reading the rules from the top.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct system *make_system(void)
{
	static const char *const tags[] = {"w", "v"};
	static const struct system_qube qubes[] = {
	        {.name = "dom0", .uuid = SYSTEM_ZERO_UUID, .type = "AdminVM", .running = true},
	        {.name = "work",
	         .uuid = "1",
	         .type = "AppVM",
	         .tags = tags,
	         .n_tags = 1,
	         .default_dispvm = "dvm",
	         .running = true},
	        {.name = "vault", .uuid = "2", .type = "AppVM", .tags = tags, .n_tags = 2},
	        {.name = "dvm",
	         .uuid = "3",
	         .type = "AppVM",
	         .tags = tags,
	         .n_tags = 2,
	         .template_for_dispvms = true,
	         .default_dispvm = "gone"},
	        {.name = "far",
	         .uuid = "4",
	         .type = "RemoteVM",
	         .relayvm = "work",
	         .transport_rpc = "t.R",
	         .running = true},
	};
	struct system *system = system_new();

	CHECK(system);
	for (size_t i = 0; i < ARRAY_LEN(qubes); i++)
		CHECK(system_add(system, &qubes[i]) == 0);
	CHECK(system_seal(system) == 0);
	return system;
}

static void check_decision(struct view *view, const struct policy_question *question)
{
	static struct policy_answer answer;
	static char text[POLICY_TEXT_MAX];
	struct decision d;

	policy_decide(view, question, &d);
	if (d.rule)
		CHECK(d.rule == policy_next_match(view, &d, NULL));
	else if (d.reason == REFUSAL_NO_MATCH)
		CHECK(policy_next_match(view, &d, NULL) == NULL);
	if (d.kind == DECISION_ASK) {
		for (uint32_t i = 1; i < d.offers->n; i++)
			CHECK(strcmp(d.offers->list[i - 1], d.offers->list[i]) < 0);
		decision_choose(view, &d, d.offers, d.offers->list[0]);
	}
	if (d.kind != DECISION_ALLOW)
		return;
	decision_execute(view, &d, question, &answer);
	if (d.kind == DECISION_ALLOW)
		CHECK(policy_encode_text(text, sizeof(text), &answer, false) > 0);
}

static void check_all(struct policy *policy)
{
	static const char *const sources[] = {"work", "vault", "dom0", "nobody", "far"};
	static const char *const targets[] = {"",         "vault",       "dom0",   "@adminvm",
	                                      "@dispvm",  "@dispvm:dvm", "uuid:2", "gone",
	                                      "@default", "far"};
	static const char *const services[] = {"a.B", "a.B+x", "z"};
	static struct system *system;
	struct view *view;

	if (!system)
		system = make_system();
	view = view_new(policy, system);
	CHECK(view);
	for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
		for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
			for (size_t v = 0; v < ARRAY_LEN(services); v++) {
				struct policy_question question = {.source = sources[s],
				                                   .requested_source = "",
				                                   .target = targets[t],
				                                   .service = services[v]};

				check_decision(view, &question);
			}
		}
	}
	(void)view_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const dirs[] = {"/run", "/etc"};
	struct policy_memory_file files[] = {{.path = "/etc/3.policy", .data = ""},
	                                     {.path = "/etc/include/i", .data = ""},
	                                     {.path = "/legacy/a.B+x", .data = ""},
	                                     {.path = "/run/3-r.policy", .data = ""}};
	struct policy_memory memory = {files, ARRAY_LEN(files)};
	struct policy_files source = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = "/legacy"};
	const char *p = (const char *)data;
	struct policy_fault fault;
	struct policy *policy;
	char line[1024];

	for (size_t i = 0; i < ARRAY_LEN(files) && size > 0; i++) {
		const char *end = memchr(p, 0xff, size);
		size_t len = end ? (size_t)(end - p) : size;

		files[i].data = p;
		files[i].len = len;
		p += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
	policy = policy_load(&place, &source, &fault);
	if (policy) {
		for (uint32_t i = 0; i < policy_n_rules(policy); i++)
			(void)policy_format_rule(policy, policy_rule(policy, i), line,
			                         sizeof(line));
		check_all(policy);
	} else {
		CHECK(fault.kind != FAULT_NONE && fault.text[0]);
		(void)policy_fault_format(&fault, line, sizeof(line));
	}
	(void)policy_unref(policy);
	return 0;
}
