/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/decide.h"
#include "tests/vectors/vectors.h"

/* Cases with a request, and cases of text that must load or not. */

static struct json_object *text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	(void)json_object_object_add(object, key, value);
}

static struct policy *load(const struct vector *v, struct policy_fault *fault)
{
	const char *const dirs[] = {v->run, v->etc};
	struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = v->legacy};
	struct policy_inputs inputs;
	struct policy *policy = policy_load_disk(&place, &inputs, fault);

	policy_inputs_fini(&inputs);
	return policy;
}

static struct json_object *describe_fault(const struct vector *v, const struct policy_fault *fault)
{
	struct json_object *out = json_object_new_object();
	char path[PATH_MAX];

	put(out, "error", json_object_new_string(fault_kind_name(fault->kind)));
	if (fault->kind == FAULT_SYNTAX) {
		put(out, "code", json_object_new_string(fault_code_name(fault->code)));
		put(out, "line", json_object_new_int((int)fault->line));
	}
	if (fault->kind == FAULT_SYNTAX || fault->kind == FAULT_FILENAME)
		put(out, "file",
		    json_object_new_string(vector_logical(v, fault->file, path, sizeof(path))));
	return out;
}

/* What a refused load must say; fields that the case does not have are not compared. */
static bool same_fault(struct json_object *want, struct json_object *got)
{
	static const char *const keys[] = {"error", "code", "file", "line"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct json_object *a;
		struct json_object *b = NULL;

		if (!json_object_object_get_ex(want, keys[i], &a))
			continue;
		(void)json_object_object_get_ex(got, keys[i], &b);
		if (!json_object_equal(a, b))
			return false;
	}
	return true;
}

static struct json_object *describe_place(const struct vector *v, const struct policy *policy,
                                          const struct rule *rule, struct json_object *out)
{
	char path[PATH_MAX];

	put(out, "file",
	    json_object_new_string(
	            vector_logical(v, policy_file_name(policy, rule->file), path, sizeof(path))));
	put(out, "line", rule->line ? json_object_new_int((int)rule->line) : NULL);
	return out;
}

static void put_rule(const struct vector *v, const struct view *view, const struct decision *d,
                     struct json_object *out)
{
	if (d->rule)
		put(out, "rule",
		    describe_place(v, view_policy(view), d->rule, json_object_new_object()));
}

/* The reply to an allowed decision, and why there is none. */
static void put_reply(const struct view *view, struct decision d,
                      const struct policy_question *question, struct json_object *out)
{
	static struct policy_answer answer;
	static char text[POLICY_TEXT_MAX * 32];
	ssize_t n;

	decision_execute(view, &d, question, &answer);
	if (d.no_answer) {
		put(out, "reply", json_object_new_string(""));
		put(out, "reply_reason", json_object_new_string("crash"));
		return;
	}
	n = policy_encode_text(text, sizeof(text), &answer, false);
	put(out, "reply", json_object_new_string_len(text, n < 0 ? 0 : (int)n));
	if (d.kind == DECISION_DENY) {
		put(out, "reply_reason", json_object_new_string(refusal_name(d.reason)));
		put(out, "reply_notify", json_object_new_boolean(d.notify));
	}
}

static void put_common(const struct decision *d, struct json_object *out)
{
	put(out, "user", text_or_null(d->rule->user));
	put(out, "autostart", json_object_new_boolean(d->autostart));
	put(out, "requested_target", json_object_new_string(d->requested.text));
}

static void put_ask(const struct view *view, const struct decision *d,
                    const struct policy_question *question, struct json_object *want,
                    struct json_object *out)
{
	struct json_object *targets = json_object_new_array();
	struct json_object *choices = json_object_new_object();
	struct json_object *wanted = NULL;

	for (uint32_t i = 0; i < d->offers->n; i++)
		(void)json_object_array_add(targets, json_object_new_string(d->offers->list[i]));
	put(out, "targets", targets);
	put(out, "default_target",
	    d->offers->default_index == NO_ID
	            ? NULL
	            : json_object_new_string(d->offers->list[d->offers->default_index]));
	put(out, "choices", choices);
	if (!json_object_object_get_ex(want, "choices", &wanted))
		return;
	json_object_object_foreach(wanted, choice, value)
	{
		struct json_object *reply = json_object_new_object();
		struct decision chosen = *d;

		(void)value;
		put(choices, choice, reply);
		decision_choose(view, &chosen, d->offers, choice);
		if (chosen.kind == DECISION_ALLOW) {
			put_reply(view, chosen, question, reply);
			continue;
		}
		put(reply, "reply", json_object_new_string(chosen.no_answer ? "" : "result=deny"));
		put(reply, "reply_reason", json_object_new_string(refusal_name(chosen.reason)));
		put(reply, "reply_notify", json_object_new_boolean(chosen.notify));
	}
}

static struct json_object *describe(const struct vector *v, const struct view *view,
                                    const struct decision *d,
                                    const struct policy_question *question,
                                    struct json_object *want)
{
	static const char *const kinds[] = {
	        [DECISION_DENY] = "deny", [DECISION_ALLOW] = "allow", [DECISION_ASK] = "ask"};
	struct json_object *out = json_object_new_object();

	if (d->no_answer) {
		put(out, "kind", json_object_new_string("crash"));
		return out;
	}
	put(out, "kind", json_object_new_string(kinds[d->kind]));
	put(out, "notify", json_object_new_boolean(d->notify));
	put_rule(v, view, d, out);
	if (d->kind == DECISION_DENY) {
		put(out, "reason", json_object_new_string(refusal_name(d->reason)));
		return out;
	}
	put_common(d, out);
	if (d->kind == DECISION_ALLOW) {
		put(out, "target", json_object_new_string(d->target.text));
		put_reply(view, *d, question, out);
	} else {
		put_ask(view, d, question, want, out);
	}
	return out;
}

static enum outcome evaluate(struct vector *v, struct policy *policy, struct system *system,
                             struct json_object *want)
{
	struct json_object *request = NULL;
	struct view *view = view_new(policy, system);
	struct json_object *got;
	enum outcome outcome = PASSED;
	struct decision d;
	char service[8192];

	(void)json_object_object_get_ex(v->json, "request", &request);
	(void)snprintf(service, sizeof(service), "%s%s", vector_text(request, "service"),
	               vector_text(request, "argument"));
	struct policy_question question = {
	        .source = vector_text(request, "source"),
	        .requested_source = vector_text(request, "requested_source"),
	        .target = vector_text(request, "target"),
	        .service = service,
	};

	policy_decide(view, &question, &d);
	got = describe(v, view, &d, &question, want);
	if (strcmp(vector_text(want, "kind"), "load_error") == 0)
		outcome = vector_fail(v, "loaded", want, got);
	/* Where the original died, a refusal of any sort is right. */
	else if (strcmp(vector_text(want, "kind"), "crash") == 0 && d.kind == DECISION_DENY)
		outcome = PASSED;
	else if (!json_object_equal(want, got))
		outcome = vector_fail(v, "decision", want, got);
	json_object_put(got);
	(void)view_free(view);
	return outcome;
}

static enum outcome compare_with(struct vector *v, struct json_object *want)
{
	struct policy_fault fault;
	struct policy *policy = load(v, &fault);
	const char *why = "no facts";
	const char *text = v->domains ? json_object_to_json_string(v->domains) : "";
	struct system *system = system_from_json(text, strlen(text), &why);
	enum outcome outcome = FAILED;

	if (!system) {
		(void)snprintf(v->why, sizeof(v->why), "facts: %s", why);
	} else if (!policy) {
		struct json_object *got = describe_fault(v, &fault);

		outcome = PASSED;
		if (strcmp(vector_text(want, "kind"), "load_error") != 0 || !same_fault(want, got))
			outcome = vector_fail(v, "load", want, got);
		json_object_put(got);
	} else {
		outcome = evaluate(v, policy, system, want);
	}
	(void)policy_unref(policy);
	(void)system_unref(system);
	return outcome;
}

/* With an "alt", the corrected behaviour, that one is what Skerry does; the other passes too. */
enum outcome vector_eval(struct vector *v)
{
	struct json_object *want = NULL;

	if (json_object_object_get_ex(v->json, "alt", &want) && compare_with(v, want) == PASSED)
		return PASSED;
	(void)json_object_object_get_ex(v->json, "result", &want);
	return compare_with(v, want);
}

static struct json_object *describe_rules(const struct vector *v, const struct policy *policy)
{
	static const char *const actions[] = {
	        [RULE_DENY] = "deny", [RULE_ALLOW] = "allow", [RULE_ASK] = "ask"};
	struct json_object *out = json_object_new_array();

	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		struct json_object *json =
		        describe_place(v, policy, rule, json_object_new_object());
		const struct token *source = policy_token(policy, rule->source);
		const struct token *target = policy_token(policy, rule->target);

		put(json, "service",
		    text_or_null(rule->service == NO_ID ? NULL
		                                        : policy_symbol(policy, rule->service)));
		put(json, "argument",
		    text_or_null(rule->argument == NO_ID ? NULL
		                                         : policy_symbol(policy, rule->argument)));
		put(json, "source", json_object_new_string_len(source->text, (int)source->len));
		put(json, "target", json_object_new_string_len(target->text, (int)target->len));
		put(json, "action", json_object_new_string(actions[rule->action]));
		put(json, "notify", json_object_new_boolean(rule->notify));
		if (rule->action != RULE_DENY) {
			put(json, "redirect",
			    text_or_null(rule->redirect == NO_ID
			                         ? NULL
			                         : policy_token(policy, rule->redirect)->text));
			put(json, "user", text_or_null(rule->user));
			put(json, "autostart", json_object_new_boolean(rule->autostart));
		}
		if (rule->action == RULE_ASK)
			put(json, "default_target",
			    text_or_null(
			            rule->default_target == NO_ID
			                    ? NULL
			                    : policy_token(policy, rule->default_target)->text));
		(void)json_object_array_add(out, json);
	}
	return out;
}

enum outcome vector_parse(struct vector *v)
{
	bool accept = strcmp(vector_text(v->json, "expect"), "accept") == 0;
	struct json_object *want = NULL;
	struct json_object *got;
	struct policy_fault fault;
	struct policy *policy = load(v, &fault);
	enum outcome outcome = PASSED;
	bool same;

	(void)json_object_object_get_ex(v->json, accept ? "rules" : "why", &want);
	got = policy ? describe_rules(v, policy) : describe_fault(v, &fault);
	same = accept ? json_object_equal(want, got) : same_fault(want, got);
	if (accept != (policy != NULL) || !same)
		outcome = vector_fail(v, accept ? "rules" : "fault", want, got);
	json_object_put(got);
	(void)policy_unref(policy);
	return outcome;
}
