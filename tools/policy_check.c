/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/policy.h"

/* skerry policy check: all that is wrong, not only the first thing, and what looks wrong. */

/* Each fault once. */
static void report(void *ctx, const struct policy_fault *fault)
{
	struct policy_check *check = ctx;
	char key[PATH_MAX + 64];
	uint32_t before = check->seen.n;
	int n = snprintf(key, sizeof(key), "%u:%u:%d:%s", fault->line, fault->column,
	                 (int)fault->code, fault->file);

	if (n > 0 && names_add(&check->seen, key, strlen(key)) < before)
		return;
	check->errors++;
	tool_show_fault(check->tool, fault, "error");
}

static void report_lint(void *ctx, const struct policy_fault *fault, const char *line, size_t len)
{
	report(ctx, fault);
}

void check_warn(struct policy_check *check, struct policy_fault *fault)
{
	check->warnings++;
	tool_show_fault(check->tool, fault, "warning");
}

/* The first token covers all that the second can match. */
static bool covers(const struct policy *policy, uint32_t a, uint32_t b)
{
	const struct token *wide = policy_token(policy, a);
	const struct token *narrow = policy_token(policy, b);

	if (wide->kind == TOKEN_ANY || wide->key == narrow->key)
		return true;
	if (wide->kind != TOKEN_ANYVM)
		return false;
	/* A tag or type may be dom0's too. */
	return narrow->kind == TOKEN_DEFAULT || narrow->kind == TOKEN_DISPVM ||
	       narrow->kind == TOKEN_DISPVM_NAME || narrow->kind == TOKEN_DISPVM_TAG ||
	       (narrow->kind == TOKEN_NAME &&
	        policy_token(policy, narrow->key)->kind != TOKEN_ADMINVM);
}

static bool rule_covers(const struct policy *policy, const struct rule *a, const struct rule *b)
{
	return (a->service == NO_ID || a->service == b->service) &&
	       (a->argument == NO_ID || a->argument == b->argument) &&
	       covers(policy, a->source, b->source) && covers(policy, a->target, b->target);
}

/* word NULL: about the line as a whole. */
static void warn(struct policy_check *check, const struct rule *rule, const struct token *word,
                 const char *text)
{
	struct policy_fault fault = {.line = rule->line};

	(void)snprintf(fault.file, sizeof(fault.file), "%s",
	               policy_file_name(check->tool->policy, rule->file));
	(void)snprintf(fault.text, sizeof(fault.text), "%s", text);
	if (word)
		tool_locate(&fault, word->text, word->len);
	check_warn(check, &fault);
}

/* A rule that an earlier one always comes before. An ask rule is no such: what it offers is
 * gathered from the later ones. */
static void check_shadow(struct policy_check *check, uint32_t index)
{
	const struct policy *policy = check->tool->policy;
	const struct rule *rule = policy_rule(policy, index);
	char text[256];

	for (uint32_t i = 0; rule->line && i < index; i++) {
		const struct rule *earlier = policy_rule(policy, i);
		bool same = earlier->service == rule->service &&
		            earlier->argument == rule->argument &&
		            earlier->source == rule->source && earlier->target == rule->target;

		if (!rule_covers(policy, earlier, rule) || (earlier->action == RULE_ASK && !same))
			continue;
		(void)snprintf(text, sizeof(text),
		               "never decides, %s %.160s:%u, which comes first; remove one of them",
		               same ? "same call as" : "covered by",
		               policy_file_name(policy, earlier->file), earlier->line);
		warn(check, rule, NULL, text);
		return;
	}
}

static void check_word(struct policy_check *check, const struct rule *rule, uint32_t id)
{
	const struct system *system = check->tool->system;
	const struct token *token;
	char text[256];

	if (id == NO_ID)
		return;
	token = policy_token(check->tool->policy, id);
	if (token->kind == TOKEN_NAME && token->text[0] == '$') {
		(void)snprintf(text, sizeof(text),
		               "'%.60s' is the name of a qube here; write @%.60s", token->text,
		               token->text + 1);
	} else if (system && (token->kind == TOKEN_NAME || token->kind == TOKEN_DISPVM_NAME) &&
	           policy_token(check->tool->policy, token->key)->kind != TOKEN_ADMINVM &&
	           system_find(system, token->text + token->rest, token->len - token->rest) ==
	                   NO_ID) {
		(void)snprintf(text, sizeof(text),
		               "there is no qube '%.60s'; correct the name, or remove the rule",
		               token->text + token->rest);
	} else {
		return;
	}
	warn(check, rule, token, text);
}

void check_rules(struct policy_check *check)
{
	const struct policy *policy = check->tool->policy;

	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		const struct token *source = policy_token(policy, rule->source);

		check_word(check, rule, rule->source);
		check_word(check, rule, rule->target);
		check_word(check, rule, rule->redirect);
		check_word(check, rule, rule->default_target);
		if (source->kind == TOKEN_DISPVM_NAME || source->kind == TOKEN_DISPVM_TAG)
			warn(check, rule, source,
			     "never matches, for no call comes from a @dispvm: word; write the "
			     "disposable's tag or type");
		check_shadow(check, i);
	}
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Directories given are the policy; of files given, each line is looked at alone. -1: too many. */
static int take_places(struct policy_check *check)
{
	struct policy_tool *tool = check->tool;
	bool defaults = tool->dirs[0] == tool->run;

	if (tool->n_words > 0 && defaults)
		tool->n_dirs = 0;
	for (int i = 0; i < tool->n_words; i++) {
		const char *word = tool->words[i];
		struct policy_fault fault = {.kind = FAULT_IO};

		if (is_directory(word)) {
			if (tool->n_dirs == POLICY_DIRS_MAX)
				return -1;
			tool->dirs[tool->n_dirs++] = word;
			continue;
		}
		if (lint_file(word, false, report_lint, check) >= 0)
			continue;
		(void)snprintf(fault.file, sizeof(fault.file), "%s", word);
		(void)snprintf(fault.text, sizeof(fault.text), "cannot read: %s", strerror(errno));
		report(check, &fault);
	}
	return 0;
}

static void check_policy(struct policy_check *check)
{
	struct policy_tool *tool = check->tool;
	struct policy_inputs inputs = {0};
	struct policy_disk disk = {.inputs = &inputs};
	struct policy_files files = policy_files_disk(&disk);
	struct policy_place place = {.dirs = tool->dirs,
	                             .n_dirs = tool->n_dirs,
	                             .legacy_dir = tool->legacy};
	struct policy_fault fault;

	tool->policy = policy_load_report(&place, &files, report, check, &fault);
	if (!tool->policy)
		report(check, &fault);
	else
		check_rules(check);
	check_files(check, &inputs);
	policy_inputs_fini(&inputs);
}

int policy_check(struct policy_tool *tool)
{
	struct policy_check check = {.tool = tool};

	if (take_places(&check))
		return SKERRY_USAGE;
	/* Without a running service the qubes' names are not checked. */
	if (tool_load_system(tool, !tool->system_info) && tool->system_info)
		return SKERRY_REFUSED;
	if (tool->n_dirs > 0)
		check_policy(&check);
	names_fini(&check.seen);
	if (!tool->options->json)
		printf("%s%d error%s%s, %d warning%s\n",
		       skerry_style(tool->options, check.errors ? STYLE_BAD : STYLE_GOOD),
		       check.errors, check.errors == 1 ? "" : "s",
		       skerry_style(tool->options, STYLE_PLAIN), check.warnings,
		       check.warnings == 1 ? "" : "s");
	return check.errors ? SKERRY_REFUSED : SKERRY_DONE;
}
