/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handing out disposables from the pool. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/create.h"
#include "services/admin/feature_methods.h"
#include "services/admin/lifecycle.h"
#include "services/admin/preload.h"
#include "services/admin/preload_internal.h"
#include "services/admin/property.h"

static void on_unpaused(void *arg, const struct fault *fault)
{
	struct preload *p = arg;
	struct call *c = p->call;
	long long delay = preload_delay(p->template);
	char seconds[24];

	turn_begin();
	if (fault) {
		c->fault = *fault;
	} else {
		disposable_mark(p->q, c->src);
		text_puts(&c->reply, strcmp(c->payload, "uuid") == 0 ? "uuid:" : "");
		text_puts(&c->reply, strcmp(c->payload, "uuid") == 0 ? p->q->uuid : p->q->name);
		snprintf(seconds, sizeof(seconds), "%lld", delay);
		event_fire(p->template, "domain-preload-dispvm-used", "dispvm", p->q->name, "delay",
		           seconds, NULL);
	}
	call_finish(c);
	turn_end(true);
	preload_used(p->template);
	preload_end(p);
}

void preload_drop_feature(struct qube *q, const char *name)
{
	if (feature_get(q, name))
		feature_drop(q, name);
}

/* In an open turn: the call gets this one. */
static void give(struct preload *p)
{
	p->state = PRELOAD_TAKEN;
	preload_used(p->template);
	preload_list_changed(p->template);
	preload_drop_feature(p->q, "internal");
	preload_drop_feature(p->q, "preload-dispvm-in-progress");
	lifecycle_unpause(p->q, on_unpaused, p);
}

void preload_hand_out(struct preload *p)
{
	if (p->call)
		give(p);
}

bool preload_take(struct qube *template, struct call *c)
{
	struct preload *p, *oldest = NULL;

	/* The oldest ready one; records are newest first. */
	for (p = preloads; p; p = p->next)
		if (p->template == template && p->state == PRELOAD_READY && !p->call &&
		    !preload_outdated(p))
			oldest = p;
	if (!oldest)
		return false;
	oldest->call = c;
	call_wait(c);
	give(oldest);
	return true;
}
