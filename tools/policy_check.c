/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/policy.h"

/* skerry policy check: all that is wrong, not only the first thing, and what looks wrong. */

static void report(void *ctx, const struct policy_fault *fault, const char *line, size_t len)
{
	(void)line;
	(void)len;
	tool_show_fault(ctx, fault, "error");
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

static void warn(const struct policy_tool *tool, const struct rule *rule, const char *text)
{
	struct policy_fault fault = {.line = rule->line};

	(void)snprintf(fault.file, sizeof(fault.file), "%s",
	               policy_file_name(tool->policy, rule->file));
	(void)snprintf(fault.text, sizeof(fault.text), "%s", text);
	tool_show_fault(tool, &fault, "warning");
}

/* A rule that an earlier one always comes before. An ask rule is no such: what it offers is
 * gathered from the later ones. */
static int check_shadow(const struct policy_tool *tool, uint32_t index)
{
	const struct policy *policy = tool->policy;
	const struct rule *rule = policy_rule(policy, index);
	char text[256];

	for (uint32_t i = 0; rule->line && i < index; i++) {
		const struct rule *earlier = policy_rule(policy, i);
		bool same = earlier->service == rule->service &&
		            earlier->argument == rule->argument &&
		            earlier->source == rule->source && earlier->target == rule->target;

		if (!rule_covers(policy, earlier, rule) || (earlier->action == RULE_ASK && !same))
			continue;
		(void)snprintf(text, sizeof(text), "%s %.180s:%u, which comes first",
		               same ? "never decides, same call as" : "never decides, covered by",
		               policy_file_name(policy, earlier->file), earlier->line);
		warn(tool, rule, text);
		return 1;
	}
	return 0;
}

static int check_word(const struct policy_tool *tool, const struct rule *rule, uint32_t id)
{
	const struct token *token;
	char text[256];

	if (id == NO_ID)
		return 0;
	token = policy_token(tool->policy, id);
	if (token->kind == TOKEN_NAME && token->text[0] == '$') {
		(void)snprintf(text, sizeof(text),
		               "'%.60s' is the name of a qube here; write @%.60s", token->text,
		               token->text + 1);
	} else if (tool->system &&
	           (token->kind == TOKEN_NAME || token->kind == TOKEN_DISPVM_NAME) &&
	           system_find(tool->system, token->text + token->rest, token->len - token->rest) ==
	                   NO_ID &&
	           strcmp(token->text, "dom0") != 0) {
		(void)snprintf(text, sizeof(text), "there is no qube '%.60s'",
		               token->text + token->rest);
	} else {
		return 0;
	}
	warn(tool, rule, text);
	return 1;
}

static int check_rules(const struct policy_tool *tool)
{
	int n = 0;

	for (uint32_t i = 0; i < policy_n_rules(tool->policy); i++) {
		const struct rule *rule = policy_rule(tool->policy, i);
		enum token_kind source = policy_token(tool->policy, rule->source)->kind;

		n += check_word(tool, rule, rule->source) + check_word(tool, rule, rule->target) +
		     check_word(tool, rule, rule->redirect) +
		     check_word(tool, rule, rule->default_target);
		if (source == TOKEN_DISPVM_NAME || source == TOKEN_DISPVM_TAG) {
			warn(tool, rule, "never matches: a call never comes from a @dispvm: word");
			n++;
		}
		n += check_shadow(tool, i);
	}
	return n;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int policy_check(struct policy_tool *tool)
{
	int faults = 0;
	int warnings = 0;

	for (int i = 0; i < tool->n_words; i++) {
		const char *word = tool->words[i];
		int n;

		if (is_directory(word)) {
			/* Directories given are the policy; of the default ones nothing is left. */
			if (tool->dirs[0] == tool->run)
				tool->n_dirs = 0;
			if (tool->n_dirs == POLICY_DIRS_MAX)
				return SKERRY_USAGE;
			tool->dirs[tool->n_dirs++] = word;
			continue;
		}
		n = lint_file(word, false, report, tool);
		if (n < 0)
			fprintf(stderr, "%s: %s\n", word, strerror(errno));
		faults += n < 0 ? 1 : n;
		if (tool->dirs[0] == tool->run && i == tool->n_words - 1)
			tool->n_dirs = 0;
	}
	/* Without a running service the qubes' names are not checked. */
	if (tool_load_system(tool, !tool->system_info) && tool->system_info)
		return SKERRY_REFUSED;
	if (tool->n_dirs > 0) {
		if (tool_load_policy(tool) == 0)
			warnings = check_rules(tool);
		else
			faults++;
	}
	if (!tool->options->json)
		printf("%s%d error%s%s, %d warning%s\n",
		       skerry_style(tool->options, faults ? STYLE_BAD : STYLE_GOOD), faults,
		       faults == 1 ? "" : "s", skerry_style(tool->options, STYLE_PLAIN), warnings,
		       warnings == 1 ? "" : "s");
	return faults ? SKERRY_REFUSED : SKERRY_DONE;
}
