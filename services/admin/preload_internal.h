/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_PRELOAD_INTERNAL_H
#define SERVICES_ADMIN_PRELOAD_INTERNAL_H

#include "services/admin/call.h"
#include "services/admin/model.h"

/* Between preload.c (what happens), preload_use.c (handing out) and preload_rules.c (what is wanted). */

#define PRELOAD_MAX      50U /* ready disposables of one template; chosen: each holds memory */
#define PRELOAD_PARALLEL 4U  /* being made at once; chosen: users' starts go on beside them */

enum preload_state {
	PRELOAD_MAKING,
	PRELOAD_STARTING,
	PRELOAD_SETTLING,
	PRELOAD_PAUSING,
	PRELOAD_READY,
	PRELOAD_TAKEN,
	PRELOAD_DROPPED
};

struct preload {
	struct preload *next;
	struct qube *template, *q; /* held */
	enum preload_state state;
	bool busy;         /* a job or a question will come back to it */
	bool leaving;      /* dropped in a turn that is not durable yet: its record ends then */
	char *settings;    /* of the template when it was made */
	struct call *call; /* who gets it */
	struct fault fault;
};

extern struct preload *preloads; /* newest first */

/** preload_drop() - it goes; preload_end() - only its record */
void preload_drop(struct preload *p);
void preload_end(struct preload *p);
void preload_fill_soon(uint32_t delay_ms);
/** preload_used() - one was taken: the pool is filled again after preload-dispvm-delay, and not before,
 *  whatever else changes: making the next would be in the way of whoever waits for this one */
void preload_used(const struct qube *template);
/** preload_list_changed() - the template's feature names them all; in an open turn */
void preload_list_changed(struct qube *template);
void preload_drop_feature(struct qube *q, const char *name);

struct preload *preload_of(const struct qube *q);
void preload_hand_out(struct preload *p);
void preload_check_found(void);

/** preload_wanted() - how many a template is to have */
size_t preload_wanted(const struct qube *template);
/** preload_delay() - seconds from a use to the next filling */
long long preload_delay(const struct qube *template);
/** preload_settings() - everything that a disposable takes from its template, as one text */
void preload_settings(const struct qube *template, struct text *out);
/** preload_outdated() - would one made now be different? */
bool preload_outdated(const struct preload *p);
uint32_t preload_wait_ms(const struct qube *q);

#endif
