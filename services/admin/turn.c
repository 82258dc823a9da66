/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns: changes with their undoing, and the order of what goes out. Contract: turn.h. */
#include "services/admin/turn.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "services/admin/events.h"
#include "services/admin/preload.h"
#include "services/admin/store.h"

/* One changed row, with what it was. */
struct change {
	struct change *older;
	enum row_kind kind;
	char owner[UUID_LEN];
	char *name;
	char *old; /* NULL: there was none */
};

/* What waits to go out. */
struct entry {
	struct entry *next;
	uint64_t wait; /* until this transaction is durable */
	bool own;      /* made by that transaction: undone with it */
	/* Either an event, or a call of fn. */
	struct event_made *event;
	void (*fn)(void *arg, const char *failed);
	void *arg;
	char *failed; /* owned; why fn's turn was undone */
};

/* A transaction that the store has and has not confirmed. */
struct sent {
	struct sent *newer;
	uint64_t seq;
	struct change *changes; /* newest first */
};

static struct {
	bool open;
	struct change *changes;
	struct entry *made, **made_end;
	uint64_t last; /* newest transaction */
	struct sent *sent, **sent_end;
	struct entry *out, **out_end;
	bool flushing;
} turns;

void turn_init(void)
{
	turns.made_end = &turns.made;
	turns.sent_end = &turns.sent;
	turns.out_end = &turns.out;
}

void turn_begin(void)
{
	CHECK(!turns.open);
	turns.open = true;
}

bool turn_is_open(void)
{
	return turns.open;
}

bool turn_is_quiet(void)
{
	return !turns.changes && !turns.made;
}

void row_set(enum row_kind kind, const struct qube *owner, const char *name, const char *value)
{
	struct change *c = memory_get(sizeof(*c));

	CHECK(turns.open);
	c->kind = kind;
	memcpy(c->owner, owner->uuid, sizeof(c->owner));
	c->name = memory_text(name);
	if (row_apply(kind, c->owner, name, value, &c->old)) {
		free(c->name);
		free(c);
		return;
	}
	c->older = turns.changes;
	turns.changes = c;
}

struct qube *qube_add(enum qube_class klass, const char *name, const char *uuid, uint32_t qid)
{
	struct qube key = {0};
	char value[64];

	CHECK(strlen(uuid) == UUID_LEN - 1);
	memcpy(key.uuid, uuid, UUID_LEN);
	snprintf(value, sizeof(value), "%s %u", class_name(klass), qid);
	row_set(ROW_QUBE, &key, name, value);
	return qube_by_uuid(uuid);
}

static void drop_row(void *arg, enum row_kind kind, const char *owner, const char *name)
{
	struct qube *q = arg;
	char *copy = memory_text(name);

	row_set(kind, q, copy, NULL);
	free(copy);
}

void qube_drop(struct qube *q)
{
	struct qube *held = qube_hold(q);

	row_visit(q, drop_row, q);
	qube_release(held);
}

static struct change *change_free(struct change *c)
{
	struct change *older = c->older;

	free(c->name);
	free(c->old);
	free(c);
	return older;
}

static struct change *undo(struct change *newest)
{
	struct qube *q;

	while (newest) {
		if (row_apply(newest->kind, newest->owner, newest->name, newest->old, NULL))
			LOG("a change could not be undone: %s", newest->name);
		if (newest->kind == ROW_QUBE && newest->old) {
			q = qube_by_uuid(newest->owner);
			if (q)
				q->announced = true;
		}
		newest = change_free(newest);
	}
	return NULL;
}

static void make(struct entry entry)
{
	struct entry *e = memory_get(sizeof(*e));

	CHECK(turns.open);
	*e = entry;
	*turns.made_end = e;
	turns.made_end = &e->next;
}

void event_fire(struct qube *subject, const char *name, ...)
{
	va_list args;
	struct event_made *event;

	va_start(args, name);
	event = event_make(subject, name, args);
	va_end(args);
	if (event)
		make((struct entry){.event = event});
}

void turn_then(void (*fn)(void *arg, const char *failed), void *arg)
{
	make((struct entry){.fn = fn, .arg = arg});
}

static void run_entry(struct entry *e)
{
	if (e->event) {
		if (!e->failed)
			event_send(e->event);
		event_free(e->event);
	}
	if (e->fn)
		e->fn(e->arg, e->failed);
	free(e->failed);
	free(e);
}

/* Confirmed transactions are always a prefix of the sent ones. */
static uint64_t durable(void)
{
	return turns.sent ? turns.sent->seq - 1 : turns.last;
}

static void flush(void)
{
	struct entry *e;

	if (turns.flushing || turns.open)
		return;
	turns.flushing = true;
	while ((e = turns.out) && e->wait <= durable()) {
		turns.out = e->next;
		if (!turns.out)
			turns.out_end = &turns.out;
		run_entry(e);
	}
	turns.flushing = false;
}

/* The rows as they are now: a row changed twice in a turn is sent as it ended. */
static void send_rows(uint64_t seq, struct change *newest)
{
	struct change *c, **order;
	size_t n = 0, i;

	for (c = newest; c; c = c->older)
		n++;
	order = memory_get(n * sizeof(*order));
	for (c = newest, i = n; c; c = c->older)
		order[--i] = c;
	for (i = 0; i < n; i++) {
		char *now = row_value(order[i]->kind, order[i]->owner, order[i]->name);

		store_row(seq, order[i]->kind, order[i]->owner, order[i]->name, now);
		free(now);
	}
	free(order);
	store_commit(seq);
}

static void keep_changes(void)
{
	preload_touched();
	struct sent *s = memory_get(sizeof(*s));

	s->seq = ++turns.last;
	s->changes = turns.changes;
	turns.changes = NULL;
	*turns.sent_end = s;
	turns.sent_end = &s->newer;
	send_rows(s->seq, s->changes);
}

void turn_end(bool keep)
{
	bool wrote = keep && turns.changes;
	struct entry *e;

	CHECK(turns.open);
	if (wrote)
		keep_changes();
	else
		turns.changes = undo(turns.changes);
	while ((e = turns.made)) {
		turns.made = e->next;
		e->next = NULL;
		e->wait = turns.last;
		e->own = wrote;
		if (!keep && e->event && !event_is_pre(e->event)) {
			event_free(e->event);
			free(e);
			continue;
		}
		*turns.out_end = e;
		turns.out_end = &e->next;
	}
	turns.made_end = &turns.made;
	turns.open = false;
	flush();
}

void outbox_durable(uint64_t seq)
{
	struct sent *s;

	while ((s = turns.sent) && s->seq <= seq) {
		turns.sent = s->newer;
		if (!turns.sent)
			turns.sent_end = &turns.sent;
		while (s->changes)
			s->changes = change_free(s->changes);
		free(s);
	}
	flush();
}

/* Newest first: what came later was made on top of what came before. */
static void undo_sent(struct sent *s)
{
	if (!s)
		return;
	undo_sent(s->newer);
	s->changes = undo(s->changes);
	free(s);
}

void outbox_refused(uint64_t seq, const char *why)
{
	struct entry *e;

	LOG("the store refuses changes: %s", why);
	if (seq > 0)
		outbox_durable(seq - 1);
	undo_sent(turns.sent);
	turns.sent = NULL;
	turns.sent_end = &turns.sent;
	for (e = turns.out; e; e = e->next)
		if (e->own && e->wait >= seq && !e->failed)
			e->failed = memory_text(why);
	store_resume(turns.last);
	flush();
}

bool outbox_idle(void)
{
	return !turns.sent;
}
