/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/decide.h"
#include "tests/unit/services/policy/invariants.h"

/*
 * Any facts, any policy, any questions. Three texts with a byte 0xff between them: a qube a line
 * (NAME TYPE UUID DEFAULT_DISPVM RELAY TRANSPORT FLAGS TAG...; - for none, flags of t i r), the
 * policy, a question a line (SOURCE TARGET SERVICE CLAIMED). What holds always is in invariants.c.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX     16
#define QUESTIONS_MAX 64

/* The words of a line, ended in place; how many. */
static size_t split(char *line, char *words[WORDS_MAX])
{
	size_t n = 0;
	char *save;

	for (char *word = strtok_r(line, " ", &save); word && n < WORDS_MAX;
	     word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	return n;
}

static const char *or_null(char *words[], size_t n, size_t i)
{
	return i < n && strcmp(words[i], "-") != 0 ? words[i] : NULL;
}

static struct system *make_system(char *text)
{
	struct system *system = system_new();
	char *save;

	CHECK(system);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *words[WORDS_MAX];
		size_t n = split(line, words);
		const char *flags = or_null(words, n, 6);
		struct system_qube qube = {
		        .name = n > 0 ? words[0] : NULL,
		        .type = or_null(words, n, 1),
		        .uuid = or_null(words, n, 2),
		        .default_dispvm = or_null(words, n, 3),
		        .relayvm = or_null(words, n, 4),
		        .transport_rpc = or_null(words, n, 5),
		        .template_for_dispvms = flags && strchr(flags, 't'),
		        .internal = flags && strchr(flags, 'i'),
		        .running = flags && strchr(flags, 'r'),
		        .tags = n > 7 ? (const char *const *)&words[7] : NULL,
		        .n_tags = n > 7 ? n - 7 : 0,
		};

		/* As the service does: facts that are not possible are no facts. */
		if (system_add(system, &qube))
			return system_unref(system);
	}
	return system_seal(system) ? system_unref(system) : system;
}

static struct policy *make_policy(const char *text)
{
	static const char *const dirs[] = {"/etc"};
	struct policy_memory_file file = {"/etc/1.policy", text, strlen(text)};
	struct policy_memory memory = {&file, 1};
	struct policy_files files = policy_files_memory(&memory);
	struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = "/legacy"};
	struct policy_fault fault;

	return policy_load(&place, &files, &fault);
}

static void ask_all(struct view *view, char *text)
{
	size_t left = QUESTIONS_MAX;
	char *save;

	for (char *line = strtok_r(text, "\n", &save); line && left > 0;
	     line = strtok_r(NULL, "\n", &save), left--) {
		char *words[WORDS_MAX];
		size_t n = split(line, words);
		struct policy_question question = {
		        .source = n > 0 ? words[0] : "",
		        .target = n > 1 && strcmp(words[1], "-") != 0 ? words[1] : "",
		        .service = n > 2 ? words[2] : "a",
		        .requested_source = n > 3 ? words[3] : "",
		};
		const char *wrong = invariants_broken(view, &question);

		if (wrong)
			fprintf(stderr, "%s -> %s, %s: %s\n", question.source, question.target,
			        question.service, wrong);
		CHECK(!wrong);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	char *parts[3] = {text, text + size, text + size};
	struct policy *policy = NULL;
	struct system *system;
	struct view *view = NULL;

	CHECK(text);
	if (size > 0)
		memcpy(text, data, size);
	for (size_t i = 1; i < ARRAY_LEN(parts); i++) {
		size_t left = size - (size_t)(parts[i - 1] - text);
		char *end = memchr(parts[i - 1], 0xff, left);

		if (!end)
			break;
		*end = '\0';
		parts[i] = end + 1;
	}
	system = make_system(parts[0]);
	if (system)
		policy = make_policy(parts[1]);
	if (policy)
		view = view_new(policy, system);
	if (view)
		ask_all(view, parts[2]);
	(void)view_free(view);
	(void)policy_unref(policy);
	(void)system_unref(system);
	free(text);
	return 0;
}
