/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_VOLUMES_H
#define SERVICES_ADMIN_VOLUMES_H

#include <stdbool.h>

#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * The volumes of qubes: what they are (rows, in the open turn), and what the storage service does with
 * them. What takes time is asked for here and answered by a call of fn, from the loop, outside of any
 * turn: fault NULL is success. It may also be called before the function returns.
 */
typedef void (*volumes_done)(void *arg, const struct fault *fault);

/** volumes_plan() - rows of the volumes of a new qube, by its class and template.
 *  @pool:   of every writable volume that is no snapshot; NULL: the defaults
 *  @pools:  NAME=POOL pairs of single volumes; may be empty
 *  Errors: false with a fault: no such pool, a snapshot away from its origin. */
bool volumes_plan(struct qube *q, const char *pool, const struct pair *pools, size_t n_pools,
                  struct fault *f) MUST_CHECK;

/** volumes_follow_template() - the template changed: sources of snapshots */
void volumes_follow_template(struct qube *q);

/** volumes_create() - make what volumes_plan() says */
void volumes_create(struct qube *q, volumes_done fn, void *arg);

/** volumes_list() - the own volumes of a qube: POOL SP VID NL each. Kept until volumes_remove(), which
 *  takes away the data of such a list, is done: the qube's rows are gone by then, and a crash in
 *  between must not leave data that belongs to nobody. What is not there is no error. */
void volumes_list(const struct qube *q, struct text *out);
void volumes_remove(const char *list, volumes_done fn, void *arg);

/** volumes_verify(), volumes_start(), volumes_stop() - before a qube runs, and after (the commit) */
void volumes_verify(struct qube *q, volumes_done fn, void *arg);
void volumes_start(struct qube *q, volumes_done fn, void *arg);
void volumes_stop(struct qube *q, volumes_done fn, void *arg);

/** volumes_in_pool() - does any qube have a volume there? */
bool volumes_in_pool(const char *pool);

/** volumes_open() - takes the socket to the storage service; < 0: there is none, and nothing has data */
struct loop;
int volumes_open(struct loop *loop, int fd) MUST_CHECK;

#endif
