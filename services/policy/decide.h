/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_DECIDE_H
#define SERVICES_POLICY_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/policy.h"
#include "services/policy/policy.h"
#include "services/policy/system.h"

/*
 * A question to a verdict. A view binds one policy to one state of the system; deciding reads
 * nothing else, makes no system call, and allocates only to build a list of offers that was not
 * asked for before. Where the reference names a defect of the original, the corrected behaviour
 * is taken. Source: doc/protocol/policy.md, 8, 9 and 19.
 */

/* Why something is refused; words as in doc/protocol/policy.md. */
enum refusal {
	REFUSAL_NONE,
	REFUSAL_POLICY, /* a deny rule */
	REFUSAL_NO_MATCH,
	REFUSAL_BAD_TARGET_TOKEN, /* not a legal target text: never notified */
	REFUSAL_NOT_DISPVM_TEMPLATE,
	REFUSAL_NO_TARGET,
	REFUSAL_NO_DEFAULT_DISPVM,
	REFUSAL_AUTOSTART,
	REFUSAL_NO_ASK_TARGETS,
	REFUSAL_SOURCE_UNKNOWN,     /* requested_source_unknown */
	REFUSAL_SOURCE_NOT_REMOTE,  /* requested_source_not_remote */
	REFUSAL_SOURCE_WRONG_RELAY, /* requested_source_wrong_relay */
	REFUSAL_INVALID_CHOICE,     /* the prompt answered something not offered */
	REFUSAL_USER_REFUSED,       /* the prompt answered deny */
	REFUSAL_LOOPBACK,           /* from here on: only by decision_execute() */
	REFUSAL_RELAYVM_UNSET,
	REFUSAL_TRANSPORT_RPC_UNSET,
	REFUSAL_INCONSISTENT, /* facts or rule cannot be said in an answer, or no memory; no answer */
	REFUSAL_MAX
};

const char *refusal_name(enum refusal refusal); /* "no_match", ... */

/* A target after normalisation. */
enum target_kind {
	TARGET_QUBE, /* a known qube, also dom0 by its name or uuid if it is known */
	TARGET_DOM0, /* @adminvm, or dom0 where the table has no such qube */
	TARGET_DEFAULT,
	TARGET_DISPVM,
	TARGET_DISPVM_OF, /* @dispvm:X; qube is X (NO_ID: a default_dispvm that does not exist) */
};

#define TARGET_TEXT_LEN 80U /* "@dispvm:uuid:" + 63 bytes + NUL, rounded up */

struct target {
	enum target_kind kind;
	uint32_t qube; /* NO_ID: none */
	bool dom0;     /* one of the spellings of dom0 */
	char text[TARGET_TEXT_LEN];
};

/*
 * What the user may choose from. Sorted by bytes, each once; never empty. Counted: a prompt keeps
 * its list with offers_ref() while the view's cache may drop its own.
 */
struct offers {
	uint32_t refs;
	uint32_t n;
	uint32_t default_index; /* NO_ID: none */
	const char *list[];     /* names, "dom0", "@dispvm:NAME" */
};

struct offers *offers_ref(struct offers *offers);
struct offers *offers_unref(struct offers *offers); /* NULL is fine; returns NULL */
bool offers_have(const struct offers *offers, const char *text);

struct view;

/** view_new() - takes a reference of each; NULL: no memory */
struct view *view_new(struct policy *policy, struct system *system) MUST_CHECK;
struct view *view_free(struct view *view); /* NULL is fine; returns NULL */
struct policy *view_policy(const struct view *view);
struct system *view_system(const struct view *view);

enum decision_kind { DECISION_DENY, DECISION_ALLOW, DECISION_ASK };

struct decision {
	enum decision_kind kind;
	enum refusal reason; /* DENY only */
	bool notify;         /* tell the user about the outcome */
	bool autostart;
	bool no_answer;          /* DENY only: close without an answer (facts are inconsistent) */
	const struct rule *rule; /* that decided; NULL: none. Borrowed from the policy */
	const struct token
	        *ignored_default; /* default_target= that is not offered: warn; or NULL */
	struct target requested;  /* normalised; its text is the answer's requested_target */
	struct target target;     /* ALLOW: final, before a RemoteVM is relayed */
	struct offers *offers; /* ASK: borrowed, good until the next policy_decide() on this view */
	uint32_t true_source;  /* qube; NO_ID: unknown to the system */
	uint32_t source;       /* effective: the claimed one if it was accepted */
	const char *source_text; /* effective; borrowed from the question */
	bool claimed;            /* a claimed source was accepted */
	bool unknown_target;     /* the target named no qube and became @default: warn */
	uint32_t service_len;    /* bytes of the service's name in the question's text */
	uint32_t service_id;     /* private: symbol or NO_ID */
	uint32_t argument_id;    /* private */
};

/**
 * policy_decide() - one question; flags of the question are not looked at
 * @question:  borrowed; its texts must live as long as *out is used
 *
 * Trust:  the question's target, service and claimed source come from a qube, in safe characters.
 */
void policy_decide(struct view *view, const struct policy_question *question, struct decision *out);

/**
 * decision_choose() - an ASK answered with a member of the offers, byte for byte
 * @offers:  the list that was shown, kept by the caller
 *
 * Becomes ALLOW with that target and the rest of the ask rule, or DENY invalid_choice with notify.
 */
void decision_choose(const struct view *view, struct decision *decision,
                     const struct offers *offers, const char *choice);

/** decision_refuse() - an ASK that the user refused: DENY, notify as the rule says */
void decision_refuse(struct decision *decision);

/**
 * decision_execute() - the final answer for a full evaluation
 * @question:  the one that was decided
 *
 * Refuses a call to self and a RemoteVM without relay (then decision becomes DENY with notify).
 * With just_evaluate it is not called: the kind is the answer.
 */
void decision_execute(const struct view *view, struct decision *decision,
                      const struct policy_question *question, struct policy_answer *ret_answer);

/** policy_next_match() - the next rule after @after (NULL: the first) that matches the question
 *  that was decided; NULL: none. Slow: reads the rules one by one. */
const struct rule *policy_next_match(const struct view *view, const struct decision *decision,
                                     const struct rule *after);

/** view_rule_applies() - service, argument and source match, target ignored: for explaining offers */
bool view_rule_applies(const struct view *view, const struct decision *decision,
                       const struct rule *rule);

#endif
