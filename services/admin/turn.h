/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_TURN_H
#define SERVICES_ADMIN_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * A turn is one uninterrupted piece of work: a request up to its first wait, or one step of a job. All
 * changes of stored state and all events belong to a turn.
 *
 * turn_end(true) gives the changes to the store as one transaction. Its events and its reply wait until
 * the store says that the transaction is durable, in the order in which they were made. Reads do not
 * wait. turn_end(false) undoes the changes in memory; of its events only the "-pre-" ones are sent, as
 * the original does. If the store refuses a transaction, it and all later ones are undone, newest
 * first, their events are dropped, and their callers get an exception that names the cause.
 */

/** turn_begin(), turn_end() - turns do not nest. */
void turn_begin(void);
void turn_end(bool keep);
bool turn_is_open(void);

/** turn_is_quiet() - the open turn has changed nothing and made no event so far */
bool turn_is_quiet(void);

/**
 * row_set() - change one row, in the open turn
 * @value:  NULL: the row goes away
 * A change to what already is costs nothing and is not sent.
 */
void row_set(enum row_kind kind, const struct qube *owner, const char *name, const char *value);

/** qube_add() - a new qube, in the open turn; the caller has checked name, uuid and qid */
struct qube *qube_add(enum qube_class klass, const char *name, const char *uuid, uint32_t qid);
/** qube_drop() - all its rows */
void qube_drop(struct qube *q);

/**
 * event_fire() - an event to all subscribers, in the open turn
 * @subject:  the qube; world.system for the system itself
 * @...:      key, value pairs of const char *; NULL ends them. A pair whose value is NULL is left out.
 */
void event_fire(struct qube *subject, const char *name, ...) __attribute__((sentinel));

/**
 * turn_then() - call fn when everything this turn did is durable (failed NULL) or undone (why)
 * Calls come in the order of the turns, never from within turn_end().
 */
void turn_then(void (*fn)(void *arg, const char *failed), void *arg);

/* Between turn.c, events.c and the store's client. */
void turn_init(void);
void outbox_durable(uint64_t seq);
void outbox_refused(uint64_t seq, const char *why);
/** outbox_idle() - nothing is on its way to the store */
bool outbox_idle(void);

#endif
