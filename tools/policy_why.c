/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/policy.h"

/* skerry policy why, skerry policy test: one decision explained, many compared with a list. */

#define NEXT_MAX 5 /* rules shown behind the one that decided; chosen */

static const char *const kinds[] = {
        [DECISION_DENY] = "deny", [DECISION_ALLOW] = "allow", [DECISION_ASK] = "ask"};

static void print_rule(const struct policy_tool *tool, const char *what, const struct rule *rule)
{
	char line[1024];

	(void)policy_format_rule(tool->policy, rule, line, sizeof(line));
	(void)tool_clean(line);
	printf("  %-8s %s%s:%u%s  %s\n", what, skerry_style(tool->options, STYLE_FAINT),
	       policy_file_name(tool->policy, rule->file), rule->line,
	       skerry_style(tool->options, STYLE_PLAIN), line);
}

/* What the caller's daemon would be told; empty: nothing. The decision becomes the final one. */
static const char *execute(struct policy_tool *tool, struct decision *d,
                           const struct policy_question *question)
{
	static struct policy_answer answer;
	static char text[POLICY_TEXT_MAX + 1];
	ssize_t n = -1;

	decision_execute(tool->view, d, question, &answer);
	if (!d->no_answer)
		n = policy_encode_text(text, POLICY_TEXT_MAX, &answer, false);
	text[MAX(n, 0)] = '\0';
	return text;
}

static void print_answer(const struct decision *d, const char *text)
{
	if (d->kind == DECISION_DENY)
		printf("refused when carried out: %s\n", refusal_name(d->reason));
	printf("answer:\n");
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("  ");
		(void)fwrite(text, 1, len, stdout);
		printf("\n");
		text += len + (text[len] == '\n');
	}
}

static void print_offers(const struct decision *d)
{
	printf("offered:");
	for (uint32_t i = 0; i < d->offers->n; i++)
		printf(" %s%s", d->offers->list[i],
		       i == d->offers->default_index ? " (default)" : "");
	printf("\n");
}

static struct json_object *rule_json(const struct policy_tool *tool, const struct rule *rule)
{
	struct json_object *out = json_object_new_object();
	char line[1024];

	(void)policy_format_rule(tool->policy, rule, line, sizeof(line));
	tool_json_text(out, "file", policy_file_name(tool->policy, rule->file));
	(void)json_object_object_add(out, "line", json_object_new_int64(rule->line));
	tool_json_text(out, "rule", line);
	return out;
}

static struct json_object *offers_json(const struct decision *d)
{
	struct json_object *out = json_object_new_array();

	for (uint32_t i = 0; i < d->offers->n; i++)
		(void)json_object_array_add(out, json_object_new_string(d->offers->list[i]));
	return out;
}

static struct json_object *next_json(const struct policy_tool *tool, const struct decision *d)
{
	struct json_object *out = json_object_new_array();
	const struct rule *rule = d->rule;

	for (int i = 0; rule && i < NEXT_MAX; i++) {
		rule = policy_next_match(tool->view, d, rule);
		if (rule)
			(void)json_object_array_add(out, rule_json(tool, rule));
	}
	return out;
}

static void print_json(struct policy_tool *tool, struct decision *d,
                       const struct policy_question *question)
{
	struct json_object *out = json_object_new_object();
	const char *answer = d->kind == DECISION_ALLOW ? execute(tool, d, question) : "";

	tool_json_text(out, "result", kinds[d->kind]);
	tool_json_text(out, "reason", refusal_name(d->reason));
	tool_json_text(out, "source", d->source_text);
	tool_json_text(out, "requested", d->requested.text);
	tool_json_text(out, "target", d->kind == DECISION_ALLOW ? d->target.text : "");
	(void)json_object_object_add(out, "answer", json_object_new_string(answer));
	if (d->kind == DECISION_ASK) {
		(void)json_object_object_add(out, "offered", offers_json(d));
		tool_json_text(out, "default",
		               d->offers->default_index == NO_ID
		                       ? ""
		                       : d->offers->list[d->offers->default_index]);
	}
	(void)json_object_object_add(out, "decided_by", d->rule ? rule_json(tool, d->rule) : NULL);
	(void)json_object_object_add(out, "next", next_json(tool, d));
	tool_json_print(out);
}

static void explain(struct policy_tool *tool, struct decision *d,
                    const struct policy_question *question)
{
	const struct rule *rule = d->rule;

	printf("%s%s%s",
	       skerry_style(tool->options, d->kind == DECISION_DENY ? STYLE_BAD : STYLE_GOOD),
	       kinds[d->kind], skerry_style(tool->options, STYLE_PLAIN));
	if (d->kind == DECISION_DENY)
		printf(" (%s)", refusal_name(d->reason));
	printf(": %s -> %s, %s\n", d->source_text, d->requested.text, question->service);
	if (d->unknown_target)
		printf("  '%s' is no qube here and counts as @default\n", question->target);
	if (rule)
		print_rule(tool, "decided", rule);
	for (int i = 0; rule && i < NEXT_MAX; i++) {
		rule = policy_next_match(tool->view, d, rule);
		if (rule)
			print_rule(tool, "then", rule);
	}
	if (d->kind == DECISION_ASK)
		print_offers(d);
	if (d->kind == DECISION_ALLOW)
		print_answer(d, execute(tool, d, question));
}

int policy_why(struct policy_tool *tool)
{
	struct policy_question question = {.requested_source = ""};
	struct decision d;

	if (tool->n_words != 3)
		return SKERRY_USAGE;
	if (tool_load(tool))
		return SKERRY_REFUSED;
	question.source = tool->words[0];
	question.target = tool->words[1];
	question.service = tool->words[2];
	policy_decide(tool->view, &question, &d);
	if (tool->options->json)
		print_json(tool, &d, &question);
	else
		explain(tool, &d, &question);
	return d.kind == DECISION_DENY ? SKERRY_REFUSED : SKERRY_DONE;
}

struct expectation {
	char *words[6];
	int n;
};

static void describe(const struct policy_tool *tool, const struct decision *d, char *out,
                     size_t max)
{
	const char *reason = d->kind == DECISION_DENY ? refusal_name(d->reason) : "";
	const char *gap = reason[0] ? " " : "";

	if (d->rule)
		(void)snprintf(out, max, "it is %s%s%s, by %.180s:%u", kinds[d->kind], gap, reason,
		               policy_file_name(tool->policy, d->rule->file), d->rule->line);
	else
		(void)snprintf(out, max, "it is %s%s%s", kinds[d->kind], gap, reason);
}

/* NULL: as expected; else what differs. */
static const char *compare(struct policy_tool *tool, const struct expectation *e)
{
	static char got[256];
	struct policy_question question = {.source = e->words[0],
	                                   .requested_source = "",
	                                   .target = e->words[1],
	                                   .service = e->words[2]};
	struct decision d;

	policy_decide(tool->view, &question, &d);
	if (d.kind == DECISION_ALLOW)
		(void)execute(tool, &d, &question);
	if (strcmp(kinds[d.kind], e->words[3]) != 0) {
		describe(tool, &d, got, sizeof(got));
		return got;
	}
	for (int i = 4; i < e->n; i++) {
		const char *user = d.rule && d.rule->user ? d.rule->user : "DEFAULT";
		const char *is = strncmp(e->words[i], "user=", 5) == 0 ? user : d.target.text;
		const char *want = strchr(e->words[i], '=') + 1;

		if (strcmp(is, want) == 0)
			continue;
		(void)snprintf(got, sizeof(got), "%.*s is %s", (int)(want - e->words[i] - 1),
		               e->words[i], is);
		return got;
	}
	return NULL;
}

/* SOURCE TARGET SERVICE[+ARG] allow|ask|deny [target=T] [user=U]; false: not of that form. */
static bool split(char *line, struct expectation *e)
{
	char *save = NULL;
	char *word;

	e->n = 0;
	for (word = strtok_r(line, " \t\r\n", &save); word;
	     word = strtok_r(NULL, " \t\r\n", &save)) {
		if (e->n == (int)ARRAY_LEN(e->words))
			return false;
		e->words[e->n++] = word;
	}
	for (int i = 4; i < e->n; i++) {
		if (strncmp(e->words[i], "target=", 7) != 0 &&
		    strncmp(e->words[i], "user=", 5) != 0)
			return false;
	}
	return e->n >= 4 && (strcmp(e->words[3], "allow") == 0 || strcmp(e->words[3], "ask") == 0 ||
	                     strcmp(e->words[3], "deny") == 0);
}

static void print_result(const struct policy_tool *tool, int n, int number, char *shown,
                         const char *wrong)
{
	struct json_object *out;

	if (!tool->options->json) {
		printf("%s%sok%s %d - %s\n",
		       skerry_style(tool->options, wrong ? STYLE_BAD : STYLE_GOOD),
		       wrong ? "not " : "", skerry_style(tool->options, STYLE_PLAIN), n,
		       tool_clean(shown));
		if (wrong)
			printf("# line %d: %s\n", number, wrong);
		return;
	}
	out = json_object_new_object();
	(void)json_object_object_add(out, "ok", json_object_new_boolean(!wrong));
	(void)json_object_object_add(out, "line", json_object_new_int(number));
	tool_json_text(out, "expectation", shown);
	tool_json_text(out, "wrong", wrong ? wrong : "");
	tool_json_print(out);
}

static int run_test(struct policy_tool *tool, FILE *file)
{
	struct expectation e;
	char line[4096];
	int number = 0;
	int failed = 0;
	int n = 0;

	while (fgets(line, sizeof(line), file)) {
		char shown[sizeof(line)];
		const char *wrong;

		number++;
		if (line[strspn(line, " \t\r\n")] == '\0' || line[strspn(line, " \t")] == '#')
			continue;
		line[strcspn(line, "\r\n")] = '\0';
		memcpy(shown, line, strlen(line) + 1);
		wrong = split(line, &e) ? compare(tool, &e)
		                        : "write SOURCE TARGET SERVICE[+ARG] allow|ask|deny "
		                          "[target=QUBE] [user=USER]";
		failed += wrong != NULL;
		print_result(tool, ++n, number, shown, wrong);
	}
	if (!tool->options->json)
		printf("1..%d\n", n);
	return failed || ferror(file) ? SKERRY_REFUSED : SKERRY_DONE;
}

int policy_test(struct policy_tool *tool)
{
	FILE *file;
	int r;

	if (tool->n_words != 1)
		return SKERRY_USAGE;
	if (tool_load(tool))
		return SKERRY_REFUSED;
	file = fopen(tool->words[0], "re");
	if (!file) {
		fprintf(stderr, "%s: %s\n", tool->words[0], strerror(errno));
		return SKERRY_REFUSED;
	}
	r = run_test(tool, file);
	(void)fclose(file);
	return r;
}
