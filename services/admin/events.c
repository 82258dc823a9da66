/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event stream: admin.Events. Contract: events.h. */
#include "services/admin/events.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/conn.h"
#include "services/admin/filter.h"

struct event_made {
	char subject[QUBE_NAME_LEN];
	char uuid[UUID_LEN];       /* "" for the system */
	char about[QUBE_NAME_LEN]; /* the qube named by key vm; "" */
	char *name;
	struct text frame;
};

/* An event that waits for policy, with those behind it. */
struct waiting {
	struct waiting *next;
	struct text frame;
	int verdict; /* -1: not known yet */
};

struct subscriber {
	struct subscriber *next, **prev;
	struct conn *conn;
	char uuid[UUID_LEN];        /* of the one qube; "" for all */
	char source[QUBE_NAME_LEN]; /* "" for dom0 */
	struct waiting *first, **last;
	size_t waiting;
};

static struct subscriber *subscribers;
static size_t n_subscribers;

size_t events_subscribers(void)
{
	return n_subscribers;
}

static void put_text(struct text *t, const char *s)
{
	text_add(t, s, strlen(s) + 1);
}

struct event_made *event_make(struct qube *subject, const char *name, va_list args)
{
	bool system = subject->klass == CLASS_SYSTEM;
	struct event_made *e;
	const char *key, *value;

	if (!system && !subject->announced)
		return NULL;
	e = memory_get(sizeof(*e));
	memcpy(e->subject, subject->name, sizeof(e->subject));
	memcpy(e->uuid, subject->uuid, sizeof(e->uuid));
	e->name = memory_text(name);
	text_add(&e->frame, "1\0", 2);
	put_text(&e->frame, e->subject);
	put_text(&e->frame, name);
	while ((key = va_arg(args, const char *))) {
		value = va_arg(args, const char *);
		if (!value)
			continue;
		put_text(&e->frame, key);
		put_text(&e->frame, value);
		if (system && strcmp(key, "vm") == 0 && strlen(value) < QUBE_NAME_LEN)
			memcpy(e->about, value, strlen(value) + 1);
	}
	text_char(&e->frame, 0);
	return e;
}

void event_free(struct event_made *e)
{
	free(e->name);
	text_free(&e->frame);
	free(e);
}

bool event_is_pre(const struct event_made *e)
{
	return strstr(e->name, "-pre-") != NULL;
}

static void waiting_drop(struct subscriber *s)
{
	struct waiting *w = s->first;

	s->first = w->next;
	if (!s->first)
		s->last = &s->first;
	s->waiting--;
	text_free(&w->frame);
	free(w);
}

static void on_closed(void *arg)
{
	struct subscriber *s = arg;

	filter_forget(s);
	while (s->first)
		waiting_drop(s);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	n_subscribers--;
	free(s);
}

/* Sends what is decided, up to the first that is not. */
static void drain(struct subscriber *s)
{
	while (s->first && s->first->verdict >= 0) {
		struct text frame = s->first->verdict > 0 ? s->first->frame : (struct text){0};

		if (frame.data)
			s->first->frame = (struct text){0};
		waiting_drop(s);
		if (frame.data) {
			struct subscriber *next = s->next, **prev = s->prev;

			conn_push(s->conn, frame.data, frame.len);
			text_free(&frame);
			/* A push may have put the subscriber out. */
			if (*prev != s || (next && next->prev != &s->next))
				return;
		}
	}
}

static void on_verdict(void *arg, void *item, bool allowed)
{
	struct subscriber *s = arg;
	struct waiting *w = item;

	w->verdict = allowed;
	drain(s);
}

/* Policy is asked for the service admin.Events with the event's name as its argument. */
static void send_filtered(struct subscriber *s, const struct event_made *e)
{
	struct waiting *w = memory_get(sizeof(*w));
	AUTO_TEXT service = {0};
	const char *target = e->uuid[0] ? e->subject : e->about[0] ? e->about : "@adminvm";
	char *p;

	text_printf(&service, "admin.Events+%s", e->name);
	for (p = service.data; *p; p++)
		if (*p == ':')
			*p = '_';
	text_add(&w->frame, e->frame.data, e->frame.len);
	w->verdict = -1;
	*s->last = w;
	s->last = &w->next;
	if (++s->waiting > FILTER_QUEUE_MAX) {
		LOG("events wait too long for policy: a subscriber in %s is put out", s->source);
		conn_push(s->conn, "", CONN_STREAM_QUEUE + 1);
		return;
	}
	filter_ask(s->source, target, text_get(&service), on_verdict, s, w);
}

void event_send(const struct event_made *e)
{
	struct subscriber *s, *next;

	for (s = subscribers; s; s = next) {
		next = s->next;
		if (s->uuid[0] && strcmp(s->uuid, e->uuid) != 0)
			continue;
		if (s->source[0])
			send_filtered(s, e);
		else
			conn_push(s->conn, e->frame.data, e->frame.len);
	}
}

void method_events(struct call *c)
{
	static const char hello[] = "1\0\0connection-established\0";
	struct subscriber *s = memory_get(sizeof(*s));

	s->conn = c->conn;
	s->last = &s->first;
	if (c->dest->klass != CLASS_ADMIN)
		memcpy(s->uuid, c->dest->uuid, sizeof(s->uuid));
	if (!call_from_dom0(c))
		memcpy(s->source, c->src->name, sizeof(s->source));
	s->next = subscribers;
	s->prev = &subscribers;
	if (subscribers)
		subscribers->prev = &s->next;
	subscribers = s;
	n_subscribers++;
	conn_stream(c->conn, on_closed, s);
	call_stream(c);
	conn_push(s->conn, hello, sizeof(hello));
}
