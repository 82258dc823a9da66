/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/trace/trace.h"
#include "proto/decision.h"
#include "proto/limits.h"

/*
 * The way of a question through the service. Trusts the facts and the policy; a question's target,
 * service and claimed source are a qube's words. Nothing here blocks: whatever is not at hand (facts,
 * a person's answer) is waited for in an asking, with a deadline.
 * Source: doc/protocol/policy.md, Modes, Failures.
 */

static struct policy_answer answer; /* 66 KiB: too large for a stack, and one is made at a time */

struct bound *bound_ref(struct bound *bound)
{
	bound->refs++;
	return bound;
}

struct bound *bound_unref(struct bound *bound)
{
	if (bound && --bound->refs == 0) {
		view_free(bound->view);
		free(bound);
	}
	return NULL;
}

void service_bind(struct service *s)
{
	struct bound *bound;

	s->bound = bound_unref(s->bound);
	if (!s->live.policy || !s->facts.table)
		return;
	bound = malloc(sizeof(*bound));
	if (!bound)
		return;
	*bound = (struct bound){.refs = 1, .view = view_new(s->live.policy, s->facts.table)};
	if (!bound->view) {
		free(bound);
		return;
	}
	s->bound = bound;
}

static void answer_verdict(struct owner *owner, uint32_t id, enum policy_verdict verdict, bool just)
{
	memset(&answer, 0, sizeof(answer));
	answer.id = id;
	answer.verdict = verdict;
	owner->done(owner, id, &answer, just);
}

static bool is_just(const struct policy_question *question)
{
	return question->flags & POLICY_JUST_EVALUATE;
}

static const char *guivm_of(const struct view *view, uint32_t qube)
{
	return qube == NO_ID ? NULL : system_qube(view_system(view), qube)->guivm;
}

static const char *name_of(const struct view *view, uint32_t qube, const char *otherwise)
{
	return qube == NO_ID ? otherwise : system_qube(view_system(view), qube)->name;
}

/* Notices of the outcome; -1: the one to be told is unknown, which must end without an answer. */
static int tell_user(struct service *s, const struct view *view, const struct decision *d,
                     const struct policy_question *question)
{
	const char *guivm;

	if (!d->notify || is_just(question))
		return 0;
	if (d->kind == DECISION_ALLOW) {
		guivm = guivm_of(view, d->source);
		if (guivm)
			prompts_notify(s, guivm, true, name_of(view, d->source, d->source_text),
			               question->service, d->target.text);
		return 0;
	}
	if (d->true_source == NO_ID)
		return -1;
	guivm = guivm_of(view, d->true_source);
	if (guivm)
		prompts_notify(s, guivm, false, name_of(view, d->true_source, question->source),
		               question->service, question->target);
	return 0;
}

static unsigned int mode_flags(const struct policy_question *question, const struct decision *d)
{
	return (is_just(question) ? DECISION_JUST : 0U) |
	       (question->flags & POLICY_ASSUME_YES ? DECISION_ASSUMED : 0U) |
	       (d->unknown_target ? DECISION_UNKNOWN_TARGET : 0U) |
	       (d->ignored_default ? DECISION_IGNORED_DEFAULT : 0U);
}

/* A final decision (ALLOW or DENY) becomes the answer. */
static void finish(struct service *s, struct owner *owner, const struct view *view,
                   const struct policy_question *question, struct decision *d, unsigned int flags,
                   const char *asked)
{
	enum policy_verdict verdict;

	memset(&answer, 0, sizeof(answer));
	answer.id = question->id;
	if (d->kind == DECISION_ALLOW && is_just(question)) {
		answer.verdict = POLICY_ALLOWED;
		memcpy(answer.user, "DEFAULT", sizeof("DEFAULT"));
		memcpy(answer.target, d->target.text, sizeof(d->target.text));
	} else if (d->kind == DECISION_ALLOW) {
		decision_execute(view, d, question, &answer);
		answer.id = question->id;
	}
	if (d->kind != DECISION_ALLOW) {
		memset(&answer, 0, sizeof(answer));
		answer.id = question->id;
		answer.verdict = d->no_answer ? POLICY_NO_ANSWER : POLICY_REFUSED;
	}
	if (tell_user(s, view, d, question))
		answer.verdict = POLICY_NO_ANSWER;
	verdict = answer.verdict;
	owner->done(owner, question->id, &answer, is_just(question));
	record_decision(s, question, d, verdict, flags | mode_flags(question, d), NULL, asked);
}

/* EvalGUI: the caller may ask only about qubes whose windows it shows. */
static bool caller_may_ask(const struct view *view, const struct policy_question *question,
                           const char *caller)
{
	const struct system *system = view_system(view);
	char tag[SYSTEM_TEXT_MAX + 8];
	const char *const names[] = {question->source, question->target};
	size_t i;
	int len = snprintf(tag, sizeof(tag), "guivm-%s", caller);

	if (len < 0 || (size_t)len >= sizeof(tag))
		return false;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		uint32_t qube = system_find(system, names[i], strlen(names[i]));

		if (qube == NO_ID || !system_has_tag(system, qube, tag, (size_t)len))
			return false;
	}
	return true;
}

/* The policy cannot be used: what is answered depends on why. */
static void decide_broken(struct service *s, struct owner *owner,
                          const struct policy_question *question)
{
	const struct policy_fault *fault = &s->live.fault;
	bool notify = fault->kind == FAULT_FILENAME || fault->kind == FAULT_IO;
	bool answered = notify || fault->kind == FAULT_SYNTAX;
	enum policy_verdict verdict = answered ? POLICY_REFUSED : POLICY_NO_ANSWER;
	uint32_t source = NO_ID;

	if (notify && !is_just(question) && s->facts.table) {
		source = system_find(s->facts.table, question->source, strlen(question->source));
		if (source == NO_ID)
			verdict = POLICY_NO_ANSWER;
		else if (system_qube(s->facts.table, source)->guivm)
			prompts_notify(s, system_qube(s->facts.table, source)->guivm, false,
			               question->source, question->service, question->target);
	}
	answer_verdict(owner, question->id, verdict, is_just(question));
	record_decision(s, question, NULL, verdict, is_just(question) ? DECISION_JUST : 0U,
	                live_fault_text(&s->live), NULL);
}

static struct asking *asking_new(struct service *s, struct owner *owner,
                                 const struct policy_question *question,
                                 const struct ask_rules *rules);

/* A prompt is needed: from here on the question lives in an asking. */
static void decide_prompt(struct service *s, struct owner *owner, const struct ask_rules *rules,
                          const struct policy_question *question)
{
	struct asking *asking = asking_new(s, owner, question, rules);
	const char *guivm, *reason = "too many questions wait";
	struct decision *d;

	if (!asking) {
		answer_verdict(owner, question->id, POLICY_NO_ANSWER, is_just(question));
		return;
	}
	d = &asking->decision;
	asking->bound = bound_ref(s->bound);
	policy_decide(asking->bound->view, &asking->question, d);
	CHECK(d->kind == DECISION_ASK);
	asking->offers = offers_ref(d->offers);
	d->offers = asking->offers;
	if (d->source == NO_ID) {
		asking_fail(asking, "the source is not known");
		return;
	}
	guivm = guivm_of(asking->bound->view, d->source);
	if (guivm && prompts_ask(asking, guivm, &reason) == 0) {
		trace_point(question->call, TRACE_ASK_SHOWN, 0, NULL);
		return;
	}
	if (guivm)
		LOG_QUBE(&s->limit, "no prompt for %s: %s", asking->question.source, reason);
	decision_refuse(d);
	asking_finish(asking, d, 0);
}

static uint32_t traced_verdict(const struct decision *d)
{
	if (d->kind == DECISION_ALLOW)
		return 1;
	return d->kind == DECISION_ASK ? 2 : 0;
}

static void decide(struct service *s, struct owner *owner, const struct policy_question *question,
                   const struct ask_rules *rules)
{
	struct decision d;

	if (!s->live.policy) {
		decide_broken(s, owner, question);
		return;
	}
	if (!s->bound ||
	    (rules->caller && !caller_may_ask(s->bound->view, question, rules->caller))) {
		answer_verdict(owner, question->id, POLICY_NO_ANSWER, is_just(question));
		return;
	}
	policy_decide(s->bound->view, question, &d);
	trace_point(question->call, TRACE_POLICY_DECIDED, traced_verdict(&d), NULL);
	if (d.kind == DECISION_ASK && (question->flags & POLICY_ASSUME_YES)) {
		decision_choose(s->bound->view, &d, d.offers, d.requested.text);
	} else if (d.kind == DECISION_ASK && is_just(question)) {
		decision_refuse(&d);
	} else if (d.kind == DECISION_ASK) {
		decide_prompt(s, owner, rules, question);
		return;
	}
	finish(s, owner, s->bound->view, question, &d, 0, NULL);
}

static void asking_free(struct asking *asking)
{
	struct service *s = asking->service;

	if (asking->state == ASKING_PROMPT)
		prompts_cancel(asking);
	if (asking->state == ASKING_FACTS) {
		*(asking->earlier ? &asking->earlier->later : &s->first) = asking->later;
		*(asking->later ? &asking->later->earlier : &s->last) = asking->earlier;
	}
	*(asking->prev ? &asking->prev->next : &asking->owner->list) = asking->next;
	if (asking->next)
		asking->next->prev = asking->prev;
	asking->owner->n--;
	loop_timer_clear(s->loop, &asking->timer);
	s->waiting--;
	s->waiting_bytes -= asking->bytes;
	offers_unref(asking->offers);
	bound_unref(asking->bound);
	free(asking);
}

static const char *copy_text(char **at, const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = *at;

	memcpy(copy, text, len);
	*at += len;
	return copy;
}

/* NULL: too much waits already. */
static struct asking *asking_new(struct service *s, struct owner *owner,
                                 const struct policy_question *question,
                                 const struct ask_rules *rules)
{
	const char *caller = rules->caller ? rules->caller : "";
	size_t bytes = strlen(question->source) + strlen(question->requested_source) +
	               strlen(question->target) + strlen(question->service) + strlen(caller) + 5;
	struct asking *asking;
	char *at;

	if (s->waiting >= SERVICE_WAITING_MAX ||
	    s->waiting_bytes + bytes > SERVICE_WAITING_BYTES_MAX)
		return NULL;
	asking = calloc(1, sizeof(*asking) + bytes);
	if (!asking)
		return NULL;
	at = asking->text;
	asking->question = *question;
	asking->question.source = copy_text(&at, question->source);
	asking->question.requested_source = copy_text(&at, question->requested_source);
	asking->question.target = copy_text(&at, question->target);
	asking->question.service = copy_text(&at, question->service);
	asking->rules = *rules;
	if (rules->caller)
		asking->rules.caller = copy_text(&at, caller);
	asking->bytes = bytes;
	asking->owner = owner;
	asking->service = s;
	asking->next = owner->list;
	if (owner->list)
		owner->list->prev = asking;
	owner->list = asking;
	owner->n++;
	s->waiting++;
	s->waiting_bytes += bytes;
	return asking;
}

void asking_finish(struct asking *asking, struct decision *decision, unsigned int flags)
{
	struct service *s = asking->service;

	if (flags & DECISION_PROMPTED)
		trace_point(asking->question.call, TRACE_ASK_ANSWERED,
		            decision->kind == DECISION_ALLOW, NULL);
	finish(s, asking->owner, asking->bound->view, &asking->question, decision, flags,
	       flags & DECISION_PROMPTED ? asking->asked : NULL);
	asking_free(asking);
}

void asking_fail(struct asking *asking, const char *reason)
{
	struct service *s = asking->service;

	answer_verdict(asking->owner, asking->question.id, POLICY_NO_ANSWER,
	               is_just(&asking->question));
	record_decision(s, &asking->question, NULL, POLICY_NO_ANSWER, 0, reason, NULL);
	asking_free(asking);
}

static void on_late_facts(void *arg)
{
	asking_fail(arg, "the system description did not come in time");
}

static void wait_for_facts(struct service *s, struct owner *owner,
                           const struct policy_question *question, const struct ask_rules *rules)
{
	struct asking *asking = asking_new(s, owner, question, rules);

	if (!asking) {
		LOG_QUBE(&s->limit, "too many questions wait: one of %s is not answered",
		         question->source);
		answer_verdict(owner, question->id, POLICY_NO_ANSWER, is_just(question));
		return;
	}
	asking->state = ASKING_FACTS;
	asking->earlier = s->last;
	*(s->last ? &s->last->later : &s->first) = asking;
	s->last = asking;
	asking->generation = facts_want(s);
	if (loop_timer_set(s->loop, &asking->timer, LIMIT_POLICY_MS, on_late_facts, asking))
		asking_fail(asking, "no memory");
}

bool service_look(struct service *s)
{
	if (!s->ending && live_refresh(&s->live))
		service_bind(s);
	return !s->ending;
}

void service_end(struct service *s, int status)
{
	s->ending = true;
	loop_stop(s->loop, status);
}

void service_ask(struct service *s, struct owner *owner, const struct policy_question *question,
                 const struct ask_rules *rules)
{
	if (!service_look(s))
		return;
	if (s->live.policy || s->live.fault.kind == FAULT_FILENAME ||
	    s->live.fault.kind == FAULT_IO) {
		if (!facts_ready(s)) {
			wait_for_facts(s, owner, question, rules);
			return;
		}
	}
	decide(s, owner, question, rules);
}

/* One that waited: facts are here, or will not come. */
static void resume(struct asking *asking, enum policy_verdict outcome)
{
	struct service *s = asking->service;
	struct owner *owner = asking->owner;

	if (outcome == POLICY_ALLOWED) {
		decide(s, owner, &asking->question, &asking->rules);
	} else {
		if (asking->rules.eval)
			outcome = POLICY_NO_ANSWER;
		answer_verdict(owner, asking->question.id, outcome, is_just(&asking->question));
		record_decision(s, &asking->question, NULL, outcome, 0,
		                "the system description cannot be had", NULL);
	}
	asking_free(asking);
}

void service_resume(struct service *s, uint32_t generation, enum policy_verdict outcome)
{
	struct asking *asking, *later;

	if (!service_look(s))
		return;
	for (asking = s->first; asking; asking = later) {
		later = asking->later;
		if ((int32_t)(asking->generation - generation) <= 0)
			resume(asking, outcome);
	}
}

void service_forget(struct service *s, struct owner *owner)
{
	while (owner->list)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): asking_free() unlinks it */
		asking_free(owner->list);
}

void service_init(struct service *s, struct loop *loop)
{
	static const struct channel empty = CHANNEL_EMPTY;

	s->loop = loop;
	s->limit = (struct log_limit)LOG_LIMIT_QUBE;
	s->facts.channel = s->prompter = s->recorder = empty;
}

void service_fini(struct service *s)
{
	facts_fini(s);
	channel_fini(&s->prompter);
	channel_fini(&s->recorder);
	s->bound = bound_unref(s->bound);
}
