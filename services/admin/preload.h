/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_PRELOAD_H
#define SERVICES_ADMIN_PRELOAD_H

#include <stdbool.h>

#include "services/admin/call.h"
#include "services/admin/model.h"

/* The pool of ready disposables. */

/** preload_is() - does this disposable wait in the pool of its template? */
bool preload_is(const struct qube *q);

/** preload_feature_check() - rules of the features preload-dispvm-* */
bool preload_feature_check(struct qube *q, const char *name, const char *value, struct fault *f)
        MUST_CHECK;
/** preload_settings_changed() - a setting of the pool changed: fill it, or empty it */
void preload_settings_changed(struct qube *q);

/** preload_fill() - as many as there are to be, in the background; preload_fill_all() - of all templates */
void preload_fill(struct qube *template);
void preload_fill_all(void);
/** preload_take() - hand out a ready one to the call; false: there is none */
bool preload_take(struct qube *template, struct call *c);
/** preload_drop_all() - remove all that wait */
void preload_drop_all(void);

/** preload_touched() - something changed that a disposable may take from its template: look after this turn */
void preload_touched(void);

/* What happens to qubes, for the pool to follow. */
void preload_stopped(struct qube *q);
void preload_unpaused(struct qube *q);
void preload_forget(struct qube *q);
void preload_settle(void);

#endif
