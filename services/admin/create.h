/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_CREATE_H
#define SERVICES_ADMIN_CREATE_H

#include "services/admin/job.h"
#include "services/admin/model.h"

/* Making and removing qubes. */

/** create_number() - the lowest free number of a qube; 0: there is none */
uint32_t create_number(void);
/** create_uuid() - a random one */
void create_uuid(char out[UUID_LEN]);

/** create_begin() - rows of a new qube, announced; in an open turn; false with a fault */
struct create_wish {
	enum qube_class klass;
	const char *name;
	const char *label;
	struct qube *template; /* or NULL */
	struct qube *creator;
	const char *pool;
	struct pair *pools;
	size_t n_pools;
	bool disposable; /* an unnamed one: auto_cleanup, settings of its template */
	uint32_t dispid;
};
struct qube *create_begin(const struct create_wish *wish, struct fault *f);

/** create_job() - the rest: its volumes; on failure the qube is removed again */
struct job *create_job(struct qube *q);

/** create_after_turn() - start the job when this turn is durable; if it is undone the job fails */
void create_after_turn(struct job *j);
/** create_for_call() - the same for a call, answered when the job is done; made(): in an open turn, before
 *  a success is answered; or NULL */
void create_for_call(struct job *j, struct call *c, void (*made)(struct job *j, struct call *c));

/** create_role_tags() - guivm-X and audiovm-X as the properties say, without events */
void create_role_tags(struct qube *q);

/** create_dispid() - a number for a disposable; create_dispid_freed() - it rests from now on */
bool create_dispid(uint32_t *ret, struct fault *f) MUST_CHECK;
void create_dispid_freed(const struct qube *q);
/** disposable_mark() - tags of who asked for it */
void disposable_mark(struct qube *q, struct qube *creator);

/** create_disposable() - an unnamed disposable of a template, announced; NULL with a fault. The caller
 *  starts create_job(). */
struct qube *create_disposable(struct qube *template, struct qube *creator, struct fault *f);

/** remove_check() - may it be removed; false with a fault */
bool remove_check(struct qube *q, struct fault *f) MUST_CHECK;
/** remove_rows() - in an open turn, with the events; its data is removed afterwards, by itself */
void remove_rows(struct qube *q);
/** remove_leftovers() - at our start: what a crash left half-made or half-removed */
void remove_leftovers(void);

#endif
