/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "services/policy/decide_internal.h"

/* From an allowed target to the answer of doc/protocol/policy.md, 9. */

static void refuse(struct decision *decision, enum refusal reason)
{
	decision->kind = DECISION_DENY;
	decision->reason = reason;
	decision->notify = true;
	decision->no_answer = reason == REFUSAL_INCONSISTENT;
}

void decision_choose(const struct view *view, struct decision *decision,
                     const struct offers *offers, const char *choice)
{
	bool unknown;

	CHECK(decision->kind == DECISION_ASK);
	decision->offers = NULL;
	if (!offers_have(offers, choice)) {
		refuse(decision, REFUSAL_INVALID_CHOICE);
		return;
	}
	decision->kind = DECISION_ALLOW;
	/* A default_dispvm that is no template may be offered; qubesd refuses it later. */
	if (target_parse(view, choice, strlen(choice), &decision->target, &unknown) ==
	            REFUSAL_BAD_TARGET_TOKEN ||
	    decision->target.kind == TARGET_DEFAULT)
		refuse(decision, REFUSAL_INCONSISTENT);
}

/* What the text protocol cannot carry: it is ASCII, in lines. */
static bool sayable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0' || text[i] == '\n' || (uint8_t)text[i] >= 0x80)
			return false;
	}
	return true;
}

/* A text of the facts, the policy or the question into the answer. */
static int put_text(char *out, size_t max, const char *text)
{
	return sayable(text, strlen(text)) ? bytes_copy_text(out, max, text) : -1;
}

static int put_user(const struct rule *rule, struct policy_answer *answer)
{
	if (!rule->user)
		return bytes_copy_text(answer->user, sizeof(answer->user), "DEFAULT");
	if (!sayable(rule->user, rule->user_len))
		return -1;
	return bytes_copy_text(answer->user, sizeof(answer->user), rule->user);
}

static int put_uuid(const struct view *view, const char *prefix, uint32_t qube,
                    struct policy_answer *answer)
{
	const char *uuid = qube == NO_ID ? NULL : system_qube(view->system, qube)->uuid;
	int n;

	if (!uuid || !sayable(uuid, strlen(uuid)))
		return -1;
	n = snprintf(answer->target_uuid, sizeof(answer->target_uuid), "%s%s", prefix, uuid);
	return n > 0 && (size_t)n < sizeof(answer->target_uuid) ? 0 : -1;
}

/* A call to a qube on another machine becomes one to its relay. */
static enum refusal relay(const struct view *view, const struct decision *decision,
                          const struct policy_question *question, struct policy_answer *answer)
{
	const struct system_qube *remote = system_qube(view->system, decision->target.qube);
	const char *argument = question->service[decision->service_len]
	                               ? question->service + decision->service_len
	                               : "+";
	uint32_t index;
	int n;

	if (!remote->relayvm || !remote->relayvm[0])
		return REFUSAL_RELAYVM_UNSET;
	if (!remote->transport_rpc || !remote->transport_rpc[0])
		return REFUSAL_TRANSPORT_RPC_UNSET;
	index = system_find(view->system, remote->relayvm, strlen(remote->relayvm));
	if (index == NO_ID || put_uuid(view, "uuid:", index, answer) ||
	    bytes_copy_text(answer->user, sizeof(answer->user), "DEFAULT") ||
	    put_text(answer->target, sizeof(answer->target), remote->relayvm) ||
	    !sayable(remote->transport_rpc, strlen(remote->transport_rpc)) ||
	    !sayable(question->service, strlen(question->service)) ||
	    !sayable(remote->name, strlen(remote->name)))
		return REFUSAL_INCONSISTENT;
	n = snprintf(answer->service, sizeof(answer->service), "%s+%s+%.*s%s",
	             remote->transport_rpc, remote->name, (int)decision->service_len,
	             question->service, argument);
	if (n < 0 || (size_t)n >= sizeof(answer->service))
		return REFUSAL_INCONSISTENT;
	return REFUSAL_NONE;
}

/* Identity, not spelling: uuid:, @adminvm and the name of one qube are the same qube. */
static bool is_self(const struct view *view, const struct decision *decision)
{
	const struct target *target = &decision->target;

	if (target->kind == TARGET_DISPVM_OF)
		return false;
	if (decision->source == NO_ID)
		return strcmp(target->text, decision->source_text) == 0 ||
		       (target->dom0 &&
		        view_dom0_text(decision->source_text, strlen(decision->source_text)));
	return target->qube == decision->source || (target->dom0 && decision->source == view->dom0);
}

static enum refusal fill_answer(const struct view *view, const struct decision *decision,
                                const struct policy_question *question,
                                struct policy_answer *answer)
{
	const struct target *target = &decision->target;
	int r;

	if (is_self(view, decision))
		return REFUSAL_LOOPBACK;
	if (!target->dom0 && target->kind == TARGET_QUBE &&
	    strcmp(system_qube(view->system, target->qube)->type, "RemoteVM") == 0)
		return relay(view, decision, question, answer);
	if (put_user(decision->rule, answer))
		return REFUSAL_INCONSISTENT;
	if (target->dom0)
		r = bytes_copy_text(answer->target, sizeof(answer->target), "dom0");
	else
		r = put_text(answer->target, sizeof(answer->target), target->text) ||
		    put_uuid(view, target->kind == TARGET_DISPVM_OF ? "@dispvm:uuid:" : "uuid:",
		             target->qube, answer);
	return r ? REFUSAL_INCONSISTENT : REFUSAL_NONE;
}

void decision_execute(const struct view *view, struct decision *decision,
                      const struct policy_question *question, struct policy_answer *ret_answer)
{
	struct policy_answer *answer = ret_answer;
	enum refusal reason;

	CHECK(decision->kind == DECISION_ALLOW);
	/* Field by field: the service text is large and mostly not used. */
	answer->id = question->id;
	answer->verdict = POLICY_ALLOWED;
	answer->autostart = decision->autostart;
	answer->target_uuid[0] = '\0';
	answer->policy_source[0] = '\0';
	answer->service[0] = '\0';
	reason = fill_answer(view, decision, question, answer);
	if (reason == REFUSAL_NONE &&
	    (put_text(answer->requested_target, sizeof(answer->requested_target),
	              decision->requested.text) ||
	     (decision->claimed && put_text(answer->policy_source, sizeof(answer->policy_source),
	                                    decision->source_text))))
		reason = REFUSAL_INCONSISTENT;
	if (reason == REFUSAL_NONE)
		return;
	refuse(decision, reason);
	answer->verdict = decision->no_answer ? POLICY_NO_ANSWER : POLICY_REFUSED;
}
