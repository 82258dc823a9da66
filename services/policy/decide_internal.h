/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_DECIDE_INTERNAL_H
#define SERVICES_POLICY_DECIDE_INTERNAL_H

#include "services/policy/decide.h"
#include "services/policy/policy_internal.h"

/* Keys of rules that match one value: part of a shared list, and up to two more. */
struct keys {
	const uint32_t *list;
	uint32_t n;
	uint32_t extra[2]; /* NO_ID: none */
};

/* A list of offers that was made before. */
struct cached {
	uint32_t service;
	uint32_t argument;
	uint32_t source;
	uint32_t rule;
	struct offers *offers; /* NULL: nothing may be offered */
	const struct token *ignored_default;
	bool used;
};

#define OFFERS_CACHED  4096U      /* lists kept, a power of two; chosen */
#define OFFERS_WAYS    8U         /* places that a list may have among them; chosen */
#define OFFERS_MEMBERS (1U << 18) /* texts in all of them, at most; chosen: 2 MB of pointers */

/* What a qube's names, tags and type are as keys of this policy. */
struct qube_keys {
	uint32_t first;  /* in view->keys */
	uint32_t n;      /* as a source or target */
	uint32_t n_disp; /* as the template of a disposable, behind those */
	uint32_t dispvm; /* its default_dispvm; NO_ID: none, or not in the system */
};

struct view {
	struct policy *policy;
	struct system *system;
	struct qube_keys *qubes;
	uint32_t *keys;
	uint32_t n_keys;
	uint32_t keys_room;
	uint32_t dom0; /* qube; NO_ID: not in the system */
	struct cached *cache;
	uint32_t cache_members;
};

/* A question as keys. */
struct request {
	struct keys source;
	struct keys target;
};

static inline bool keys_have(const struct keys *keys, uint32_t key)
{
	for (uint32_t i = 0; i < keys->n; i++) {
		if (keys->list[i] == key)
			return true;
	}
	return key == keys->extra[0] || key == keys->extra[1];
}

/** view_source_keys() / view_target_keys() - of a decision that is under way or done */
struct keys view_source_keys(const struct view *view, const struct decision *decision);
struct keys view_target_keys(const struct view *view, const struct decision *decision);

/** view_groups() - the rules of a decision's service and argument; NO_ID where there are none */
void view_groups(const struct policy *policy, const struct decision *decision, uint32_t groups[3]);

/** view_dom0_text() - one of the three spellings of dom0 */
bool view_dom0_text(const char *text, size_t len);
/** target_parse() - 8.1 steps 2 to 5 on a text; REFUSAL_NONE, BAD_TARGET_TOKEN, NOT_DISPVM_TEMPLATE */
enum refusal target_parse(const struct view *view, const char *text, size_t len, struct target *ret,
                          bool *ret_unknown);
/** target_set_qube() / target_set_disp() - by index; disp: qube's disposable */
void target_set_qube(const struct view *view, uint32_t qube, struct target *ret);
void target_set_disp(const struct view *view, uint32_t qube, struct target *ret);
/** target_default_disp() - the disposable that @dispvm means for a source; false: none */
bool target_default_disp(const struct view *view, uint32_t source, struct target *ret);

/** offers_find() - decision->offers for its ask rule, made or from the cache; NULL: there are none.
 *  Errors: 0; -1: no memory, and nothing is remembered. */
int offers_find(struct view *view, struct decision *decision) MUST_CHECK;
void offers_drop_all(struct view *view);

#endif
