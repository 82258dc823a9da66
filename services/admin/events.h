/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_EVENTS_H
#define SERVICES_ADMIN_EVENTS_H

#include <stdarg.h>
#include <stdbool.h>

#include "services/admin/call.h"
#include "services/admin/model.h"

/*
 * Events: made in a turn (event_fire() of turn.h), sent to the subscribers when that turn is durable.
 * A subscriber from a qube gets only what policy lets it see, event by event, in order.
 */
struct event_made;

/** event_make() - NULL: nobody is to hear it (its qube is not announced yet, or no more) */
struct event_made *event_make(struct qube *subject, const char *name, va_list args);
void event_send(const struct event_made *e);
void event_free(struct event_made *e);
bool event_is_pre(const struct event_made *e);

/** events_subscribers() - how many there are */
size_t events_subscribers(void);

void method_events(struct call *c); /* admin.Events */

#endif
