/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_SERVICE_H
#define SERVICES_POLICY_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "proto/policy.h"
#include "services/policy/channel.h"
#include "services/policy/decide.h"
#include "services/policy/live.h"

/*
 * The deciding process. A question comes from a server (text_server.c, calls_server.c), waits for
 * facts if they are not fresh, is decided, waits for a person if the rule says ask, and is answered
 * to its owner. Everything that waits hangs on its owner's list, so a client that goes takes its
 * questions along. Three helpers stand at the other end of channels: facts, prompter, recorder.
 */

/* Bounds of what callers can make the service hold; chosen. */
#define SERVICE_WAITING_MAX       8192U       /* questions that wait, all owners together */
#define SERVICE_WAITING_BYTES_MAX (32U << 20) /* their texts */
#define SERVICE_PROMPTS_PER_QUBE  8U          /* prompts open at once from one source */
#define SERVICE_NOTICES_BURST     20U         /* notices at once about one source */
#define SERVICE_NOTICES_PER_S     2U          /* after that */
#define SERVICE_BUCKETS           256U        /* sources are hashed to these limits */

struct service;
struct asking;

/* Who asks: a connection. done() is called once for each question, at once or later; it may end the
 * owner only through what it schedules itself, not while it runs. */
struct owner {
	struct asking *list; /* questions that wait */
	size_t n;
	void (*done)(struct owner *owner, uint32_t id, const struct policy_answer *answer,
	             bool just);
};

/* What goes beyond the question itself. */
struct ask_rules {
	bool eval;          /* policy.EvalSimple, policy.EvalGUI */
	const char *caller; /* EvalGUI: both qubes must be tagged guivm-CALLER; NULL: no check */
};

enum asking_state { ASKING_DECIDED, ASKING_FACTS, ASKING_PROMPT };

/* A policy and a table of facts that questions are decided with; counted. */
struct bound {
	uint32_t refs;
	struct view *view;
};

/* A question that waits; owned by its owner's list. */
struct asking {
	struct asking *next, *prev; /* the owner's */
	struct asking *later,
	        *earlier; /* all that wait for the same: facts, oldest first; people */
	struct owner *owner;
	struct service *service;
	enum asking_state state;
	struct policy_question question; /* texts in text[] */
	struct ask_rules rules;
	struct loop_timer timer;
	uint32_t generation;      /* FACTS: of the refresh it waits for */
	uint32_t prompt_id;       /* PROMPT */
	uint32_t bucket;          /* PROMPT: limit it counts against */
	struct bound *bound;      /* PROMPT: what it was decided with; a reference */
	struct offers *offers;    /* PROMPT: what was shown; a reference */
	struct decision decision; /* PROMPT */
	const char *asked;        /* PROMPT: GUI domain; borrowed from the facts in bound */
	size_t bytes;
	char text[];
};

struct bucket {
	uint64_t notice_ns; /* last time tokens were added */
	uint32_t notices;   /* tokens */
	uint32_t prompts;   /* open now */
	bool used;
};

struct facts {
	struct channel channel;
	struct system *table; /* NULL: none yet */
	uint8_t *last;        /* the frame it came from, to see that nothing changed */
	size_t last_len;
	bool live;           /* changes are announced */
	bool fresh;          /* table may be used now; only while live */
	uint32_t generation; /* of the last refresh that was asked for */
	bool in_flight;      /* its answer has not come */
	const char *file;    /* --system-info: watched here too; NULL */
};

struct service {
	struct loop *loop;
	struct live live; /* the policy on disk */
	struct facts facts;
	struct bound *bound; /* NULL: the policy is broken, or there are no facts yet */
	struct channel prompter;
	struct channel recorder;
	uint32_t lost_records;
	uint32_t records_sent;    /* to this recorder */
	uint32_t records_written; /* as it says */
	uint32_t lost_told;       /* counts of lost ones in records that are not confirmed */
	uint32_t next_prompt;
	struct asking *first, *last; /* wait for facts */
	struct asking *prompts;      /* wait for people */
	size_t waiting;
	size_t waiting_bytes;
	struct bucket buckets[SERVICE_BUCKETS];
	struct log_limit limit;
	bool ending; /* nothing is taken, decided or answered any more */
};

/** service_init() - @s is zero; live and helpers are attached by the caller */
void service_init(struct service *s, struct loop *loop);
void service_fini(struct service *s);

/** service_end() - decide nothing more and leave the loop with this status */
void service_end(struct service *s, int status);

/** service_look() - before a connection is taken: notice changes of the policy
 *  Returns false if it must be left for the process that comes after this one. */
bool service_look(struct service *s) MUST_CHECK;

/**
 * service_ask() - decide a question; the answer goes to owner->done, perhaps before this returns
 * @question, @rules:  borrowed; copied if the question has to wait
 */
void service_ask(struct service *s, struct owner *owner, const struct policy_question *question,
                 const struct ask_rules *rules);

/** service_forget() - the owner goes: drops its questions and withdraws their prompts */
void service_forget(struct service *s, struct owner *owner);

/* Between the files of the service. */

/** service_bind() - policy and facts changed: a new view; NULL bound if either is missing */
void service_bind(struct service *s);
struct bound *bound_ref(struct bound *bound);
struct bound *bound_unref(struct bound *bound);

/** service_resume() - facts came: decide what waited for this generation or an earlier one
 *  @outcome: POLICY_ALLOWED: decide; POLICY_REFUSED, POLICY_NO_ANSWER: answer that */
void service_resume(struct service *s, uint32_t generation, enum policy_verdict outcome);

/** asking_finish() - a decision is final: execute, notify, answer, record; frees the asking */
void asking_finish(struct asking *asking, struct decision *decision, unsigned int flags);
void asking_fail(struct asking *asking, const char *reason);

/* A new helper in the place of none, or of one that ended. 0, or -1 with errno: fd is not taken. */
int facts_attach(struct service *s, int fd) MUST_CHECK;
int prompts_attach(struct service *s, int fd) MUST_CHECK;
int record_attach(struct service *s, int fd) MUST_CHECK;

void facts_fini(struct service *s);
/** facts_ready() - whether the table may be used for a question that arrives now */
bool facts_ready(const struct service *s);
/** facts_want() - the generation that a question which arrives now has to wait for */
uint32_t facts_want(struct service *s);
/** facts_file_changed() - the file of --system-info was touched */
void facts_file_changed(struct service *s);

/** prompts_ask() - 0: asking waits for a person now; -1: refuse (why in *ret_reason) */
int prompts_ask(struct asking *asking, const char *guivm, const char **ret_reason) MUST_CHECK;
void prompts_cancel(struct asking *asking);
/** prompts_notify() - tell the user, unless too much was told about this source */
void prompts_notify(struct service *s, const char *guivm, bool allowed, const char *source,
                    const char *service_text, const char *target);

void record_decision(struct service *s, const struct policy_question *question,
                     const struct decision *decision, enum policy_verdict verdict,
                     unsigned int flags, const char *reason, const char *asked);

#endif
