/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/decide.h"

#include <string.h>

#include "lib/base/check.h"
#include "services/policy/decide_internal.h"

/*
 * First matching rule decides. It is found without reading the rules in order: each combination of
 * a word that matches the source and one that matches the target names the first rule that has
 * them; the lowest number of all is the rule that a reader from the top would meet first.
 * tests/unit/services/policy/policy_naive.c is that reader, and they are compared.
 */

/* One line a refusal: doc/protocol/policy.md names them. */
static const char *const refusals[REFUSAL_MAX] = {
        [REFUSAL_NONE] = "none",
        [REFUSAL_POLICY] = "policy",
        [REFUSAL_NO_MATCH] = "no_match",
        [REFUSAL_BAD_TARGET_TOKEN] = "bad_target_token",
        [REFUSAL_NOT_DISPVM_TEMPLATE] = "not_dispvm_template",
        [REFUSAL_NO_TARGET] = "no_target",
        [REFUSAL_NO_DEFAULT_DISPVM] = "no_default_dispvm",
        [REFUSAL_AUTOSTART] = "autostart",
        [REFUSAL_NO_ASK_TARGETS] = "no_ask_targets",
        [REFUSAL_SOURCE_UNKNOWN] = "requested_source_unknown",
        [REFUSAL_SOURCE_NOT_REMOTE] = "requested_source_not_remote",
        [REFUSAL_SOURCE_WRONG_RELAY] = "requested_source_wrong_relay",
        [REFUSAL_INVALID_CHOICE] = "invalid_choice",
        [REFUSAL_USER_REFUSED] = "user_refused",
        [REFUSAL_LOOPBACK] = "loopback",
        [REFUSAL_RELAYVM_UNSET] = "relayvm_unset",
        [REFUSAL_TRANSPORT_RPC_UNSET] = "transport_rpc_unset",
        [REFUSAL_INCONSISTENT] = "inconsistent",
};

const char *refusal_name(enum refusal refusal)
{
	CHECK((size_t)refusal < ARRAY_LEN(refusals));
	return refusals[refusal];
}

static void deny(struct decision *decision, enum refusal reason, bool notify)
{
	decision->kind = DECISION_DENY;
	decision->reason = reason;
	decision->notify = notify;
}

/* The lowest rule of a node below best that has one of the target's keys, or best. */
static uint32_t search_node(const struct policy *policy, uint32_t id, const struct keys *target,
                            uint32_t best)
{
	const struct node *node = &policy->nodes[id];

	if (node->lowest >= best)
		return best;
	if (node->rules.n <= NODE_SMALL) {
		for (uint32_t i = 0; i < node->rules.n; i++) {
			uint32_t rule = policy->node_rules[node->rules.first + i];

			if (rule >= best)
				return best;
			if (keys_have(target, policy->keys[rule].target))
				return rule;
		}
		return best;
	}
	/* NO_ID, nothing there, is higher than every rule. */
	for (uint32_t i = 0; i < target->n; i++)
		best = MIN(best, pairs_get(&policy->by_target, id, target->list[i]));
	for (size_t i = 0; i < ARRAY_LEN(target->extra); i++) {
		if (target->extra[i] != NO_ID)
			best = MIN(best, pairs_get(&policy->by_target, id, target->extra[i]));
	}
	return best;
}

static uint32_t search_group(const struct policy *policy, uint32_t group,
                             const struct request *request, uint32_t best)
{
	for (uint32_t i = 0; i < request->source.n + ARRAY_LEN(request->source.extra); i++) {
		uint32_t key = i < request->source.n ? request->source.list[i]
		                                     : request->source.extra[i - request->source.n];
		uint32_t node = key == NO_ID ? NO_ID : pairs_get(&policy->node_of, group, key);

		if (node != NO_ID)
			best = search_node(policy, node, &request->target, best);
	}
	return best;
}

void view_groups(const struct policy *policy, const struct decision *decision, uint32_t groups[3])
{
	groups[0] = NO_ID;
	groups[1] = NO_ID;
	if (decision->service_id != NO_ID) {
		if (decision->argument_id != NO_ID)
			groups[0] = pairs_get(&policy->group_of, decision->service_id,
			                      decision->argument_id);
		groups[1] = pairs_get(&policy->group_of, decision->service_id, NO_ID);
	}
	groups[2] = pairs_get(&policy->group_of, policy->symbols.n, NO_ID);
}

static const struct rule *find_rule(const struct view *view, const struct decision *decision)
{
	const struct policy *policy = view->policy;
	struct request request = {view_source_keys(view, decision),
	                          view_target_keys(view, decision)};
	uint32_t groups[3];
	uint32_t best = NO_ID;

	view_groups(policy, decision, groups);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (groups[i] != NO_ID)
			best = search_group(policy, groups[i], &request, best);
	}
	return best == NO_ID ? NULL : &policy->rules[best];
}

static void split_service(const struct view *view, const char *service, struct decision *out)
{
	size_t len = strcspn(service, "+");
	const char *argument = service[len] ? service + len : "+";

	out->service_len = (uint32_t)len;
	out->service_id = names_find(&view->policy->symbols, service, len);
	out->argument_id = names_find(&view->policy->symbols, argument, strlen(argument));
}

/* 8.1 step 6. */
static enum refusal claim_source(const struct view *view, const struct policy_question *question,
                                 struct decision *out)
{
	const char *claimed = question->requested_source;
	const struct system_qube *qube;
	uint32_t index;

	if (!claimed || !claimed[0])
		return REFUSAL_NONE;
	index = system_find(view->system, claimed, strlen(claimed));
	if (index == NO_ID)
		return REFUSAL_SOURCE_UNKNOWN;
	qube = system_qube(view->system, index);
	if (strcmp(qube->type, "RemoteVM") != 0)
		return REFUSAL_SOURCE_NOT_REMOTE;
	if (!qube->relayvm || strcmp(qube->relayvm, question->source) != 0)
		return REFUSAL_SOURCE_WRONG_RELAY;
	out->source = index;
	out->source_text = claimed;
	out->claimed = true;
	return REFUSAL_NONE;
}

static bool autostart_ok(const struct view *view, const struct target *target)
{
	if (target->dom0)
		return true;
	return target->kind == TARGET_QUBE && system_qube(view->system, target->qube)->running;
}

/* 8.4. */
static void decide_allow(const struct view *view, struct decision *out)
{
	const struct rule *rule = out->rule;
	enum refusal refusal = REFUSAL_NONE;
	bool unknown;

	out->target = out->requested;
	if (rule->redirect != NO_ID) {
		const struct token *token = &view->policy->tokens[rule->redirect];

		refusal = target_parse(view, token->text, token->len, &out->target, &unknown);
	}
	if (refusal == REFUSAL_NONE && out->target.kind == TARGET_DEFAULT)
		refusal = REFUSAL_NO_TARGET;
	if (refusal == REFUSAL_NONE && out->target.kind == TARGET_DISPVM &&
	    !target_default_disp(view, out->source, &out->target))
		refusal = REFUSAL_NO_DEFAULT_DISPVM;
	if (refusal != REFUSAL_NONE) {
		deny(out, refusal, true);
		return;
	}
	if (out->target.kind == TARGET_DOM0 && out->target.text[0] == '@')
		memcpy(out->target.text, "dom0", 5);
	out->kind = DECISION_ALLOW;
	out->notify = rule->notify;
	out->autostart = rule->autostart;
	if (!rule->autostart && !autostart_ok(view, &out->target))
		deny(out, REFUSAL_AUTOSTART, rule->notify);
}

/* 8.5. */
static void decide_ask(struct view *view, struct decision *out)
{
	const struct rule *rule = out->rule;

	/* Without facts about the source nobody knows what to offer, nor where to ask. */
	if ((out->source == NO_ID && rule->redirect == NO_ID) || offers_find(view, out)) {
		deny(out, REFUSAL_INCONSISTENT, false);
		out->no_answer = true;
		return;
	}
	if (!out->offers) {
		deny(out, REFUSAL_NO_ASK_TARGETS, true);
		return;
	}
	out->kind = DECISION_ASK;
	out->notify = rule->notify;
	out->autostart = rule->autostart;
}

void policy_decide(struct view *view, const struct policy_question *question, struct decision *out)
{
	enum refusal refusal;

	memset(out, 0, offsetof(struct decision, requested));
	out->offers = NULL;
	out->claimed = false;
	out->true_source = system_find(view->system, question->source, strlen(question->source));
	out->source = out->true_source;
	out->source_text = question->source;
	split_service(view, question->service, out);
	refusal = target_parse(view, question->target, strlen(question->target), &out->requested,
	                       &out->unknown_target);
	out->target = out->requested;
	if (refusal == REFUSAL_NONE)
		refusal = claim_source(view, question, out);
	if (refusal != REFUSAL_NONE) {
		deny(out, refusal, refusal != REFUSAL_BAD_TARGET_TOKEN);
		return;
	}
	out->rule = find_rule(view, out);
	if (!out->rule)
		deny(out, REFUSAL_NO_MATCH, true);
	else if (out->rule->action == RULE_DENY)
		deny(out, REFUSAL_POLICY, out->rule->notify);
	else if (out->rule->action == RULE_ALLOW)
		decide_allow(view, out);
	else
		decide_ask(view, out);
}

void decision_refuse(struct decision *decision)
{
	CHECK(decision->kind == DECISION_ASK);
	deny(decision, REFUSAL_USER_REFUSED, decision->rule->notify);
}

static bool applies(const struct view *view, const struct decision *decision,
                    const struct keys *source, const struct rule *rule)
{
	return (rule->service == NO_ID || rule->service == decision->service_id) &&
	       (rule->argument == NO_ID || rule->argument == decision->argument_id) &&
	       keys_have(source, view->policy->tokens[rule->source].key);
}

bool view_rule_applies(const struct view *view, const struct decision *decision,
                       const struct rule *rule)
{
	struct keys source = view_source_keys(view, decision);

	return applies(view, decision, &source, rule);
}

const struct rule *policy_next_match(const struct view *view, const struct decision *decision,
                                     const struct rule *after)
{
	const struct policy *policy = view->policy;
	struct keys source = view_source_keys(view, decision);
	struct keys target = view_target_keys(view, decision);
	uint32_t i = after ? policy_rule_index(policy, after) + 1 : 0;

	for (; i < policy->n_rules; i++) {
		const struct rule *rule = &policy->rules[i];

		if (keys_have(&target, policy->keys[i].target) &&
		    applies(view, decision, &source, rule))
			return rule;
	}
	return NULL;
}
