/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/services/policy/invariants.h"

#include <stdio.h>
#include <string.h>

/* Shared by the unit tests and the fuzz targets. */

static bool same_offers(const struct offers *a, const struct offers *b)
{
	if (!a || !b)
		return a == b;
	if (a->n != b->n || a->default_index != b->default_index)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	}
	return true;
}

static bool same_decision(const struct decision *a, const struct decision *b)
{
	return a->kind == b->kind && a->reason == b->reason && a->notify == b->notify &&
	       a->autostart == b->autostart && a->no_answer == b->no_answer && a->rule == b->rule &&
	       a->ignored_default == b->ignored_default && a->source == b->source &&
	       a->true_source == b->true_source && a->claimed == b->claimed &&
	       a->unknown_target == b->unknown_target &&
	       strcmp(a->requested.text, b->requested.text) == 0 &&
	       strcmp(a->target.text, b->target.text) == 0 && same_offers(a->offers, b->offers);
}

/* Whether the first rule for a target is a deny. */
static bool denied(struct view *view, const struct policy_question *question, const char *target)
{
	struct policy_question direct = *question;
	struct decision d;

	direct.target = target;
	policy_decide(view, &direct, &d);
	return d.rule && d.rule->action == RULE_DENY;
}

static bool any_redirect(const struct policy *policy)
{
	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		if (policy_rule(policy, i)->redirect != NO_ID)
			return true;
	}
	return false;
}

/* A click on an offer is no way around a deny, except that @dispvm may be asked for by itself. */
static const char *check_offers(struct view *view, const struct policy_question *question,
                                const struct decision *d, struct offers *offers)
{
	const char *means = d->source == NO_ID
	                            ? NULL
	                            : system_qube(view_system(view), d->source)->default_dispvm;

	for (uint32_t i = 0; i < offers->n; i++) {
		const char *member = offers->list[i];
		bool disp = strncmp(member, "@dispvm:", 8) == 0;

		if (i > 0 && strcmp(offers->list[i - 1], member) >= 0)
			return "offers are not sorted, or one is there twice";
		if (!offers_have(offers, member))
			return "an offer is not found";
		if (any_redirect(view_policy(view)) || !denied(view, question, member))
			continue;
		if (disp && means && strcmp(member + 8, means) == 0 &&
		    !denied(view, question, "@dispvm"))
			continue;
		return "something denied is offered";
	}
	return offers_have(offers, "@dispvm") || offers_have(offers, "@adminvm") ||
	                       offers_have(offers, "")
	               ? "a word is offered that names nothing"
	               : NULL;
}

static const char *check_allowed(const struct view *view, const struct policy_question *question,
                                 struct decision *d)
{
	static struct policy_answer answer;
	static char text[POLICY_TEXT_MAX];

	if (!d->rule || d->rule->action == RULE_DENY)
		return "allowed without a rule that allows";
	decision_execute(view, d, question, &answer);
	if (d->kind == DECISION_DENY)
		return answer.verdict == POLICY_ALLOWED ? "refused, and said to be allowed" : NULL;
	if (answer.verdict != POLICY_ALLOWED ||
	    policy_encode_text(text, sizeof(text), &answer, false) <= 0)
		return "an answer that cannot be said";
	return strcmp(answer.target, "@default") == 0 || strcmp(answer.target, "@dispvm") == 0 ||
	                       strcmp(answer.target, "@adminvm") == 0
	               ? "an answer that names no target"
	               : NULL;
}

const char *invariants_broken(struct view *warm, const struct policy_question *question)
{
	struct view *cold = view_new(view_policy(warm), view_system(warm));
	struct offers *offers = NULL;
	const char *wrong = NULL;
	struct decision first, again, fresh;

	if (!cold)
		return "no memory";
	policy_decide(warm, question, &first);
	policy_decide(warm, question, &again);
	policy_decide(cold, question, &fresh);
	if (!same_decision(&first, &again) || !same_decision(&first, &fresh))
		wrong = "the verdict depends on what was asked before";
	else if (first.rule && first.rule != policy_next_match(warm, &first, NULL))
		wrong = "not the first rule that matches";
	else if (first.reason == REFUSAL_NO_MATCH && policy_next_match(warm, &first, NULL))
		wrong = "a rule matches, and none was found";
	if (!wrong && first.kind == DECISION_ASK) {
		offers = offers_ref(fresh.offers);
		wrong = check_offers(warm, question, &fresh, offers);
		for (uint32_t i = 0; i < offers->n && !wrong; i++) {
			again = fresh;
			decision_choose(cold, &again, offers, offers->list[i]);
			if (again.kind == DECISION_ALLOW)
				wrong = check_allowed(cold, question, &again);
		}
	} else if (!wrong && first.kind == DECISION_ALLOW) {
		wrong = check_allowed(warm, question, &first);
	}
	(void)offers_unref(offers);
	(void)view_free(cold);
	return wrong;
}
