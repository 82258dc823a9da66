/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a decoded request to a handler and back: who and what is meant, the checks that every method's
 * row asks for, the frame of the answer. Contract: call.h.
 */
#include "services/admin/call.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "services/admin/conn.h"

struct qube *call_qube(const char *untrusted_name, struct fault *f)
{
	struct qube *q;

	if (text_starts(untrusted_name, "uuid:")) {
		if (!request_uuid_check(untrusted_name + 5)) {
			fault_set(f, E_UUID, "VM UUID is not valid: '%.200s'", untrusted_name + 5);
			return NULL;
		}
		q = qube_by_uuid(untrusted_name + 5);
	} else {
		if (!request_name_check(untrusted_name, f, E_VALUE))
			return NULL;
		q = qube_by_name(untrusted_name);
	}
	if (!q)
		fault_set(f, E_NOT_FOUND, "No such domain: '%s'", untrusted_name);
	return q;
}

bool call_from_dom0(const struct call *c)
{
	return c->src->klass == CLASS_ADMIN;
}

void reply_exception(struct text *out, const struct fault *f)
{
	const char *p;

	text_add(out, "2\0", 2);
	text_puts(out, f->type);
	text_add(out, "\0\0", 2);
	/* The client applies "%" to the text. */
	for (p = f->text; *p; p++) {
		if (*p == '%')
			text_char(out, '%');
		text_char(out, *p);
	}
	text_char(out, 0);
}

static void call_free(struct call *c)
{
	qube_release(c->src);
	qube_release(c->dest);
	free(c->arg);
	free(c->payload);
	text_free(&c->reply);
	free(c);
}

/* Everything that belongs to the call is durable, or was undone. */
static void send_reply(void *arg, const char *failed)
{
	struct call *c = arg;
	AUTO_TEXT frame = {0};

	if (failed && !c->fault.type)
		call_refuse(c, E_QUBES, "The change could not be stored and was undone: %s",
		            failed);
	if (c->then) {
		c->then(c->then_arg, c);
	} else if (c->conn) {
		if (c->fault.type) {
			reply_exception(&frame, &c->fault);
		} else {
			text_add(&frame, "0\0", 2);
			text_add(&frame, c->reply.data, c->reply.len);
		}
		conn_reply(c->conn, &frame);
	}
	call_free(c);
}

void call_finish(struct call *c)
{
	turn_then(send_reply, c);
}

void call_stream(struct call *c)
{
	conn_set_call(c->conn, NULL);
	c->conn = NULL;
}

static bool check_row(struct call *c)
{
	const struct method *m = c->method;
	struct fault *f = &c->fault;

	if (m->payload == NEED_SOME && c->payload_len == 0)
		return fault_set(f, E_PROTOCOL, "expected payload");
	if (m->payload == NEED_NONE && c->payload_len > 0)
		return fault_set(f, E_PROTOCOL, "unexpected payload");
	if (m->arg == NEED_SOME && !c->arg[0])
		return fault_set(f, E_PROTOCOL, "expected an argument");
	if (m->arg == NEED_NONE && c->arg[0])
		return fault_set(f, E_PROTOCOL, "unexpected argument");
	if (m->dest == DEST_DOM0 && c->dest->klass != CLASS_ADMIN)
		return fault_set(f, E_PROTOCOL, "expected destination to be AdminVM");
	if (m->dest == DEST_QUBE && c->dest->klass == CLASS_ADMIN)
		return fault_set(f, E_PROTOCOL, "expected destination to not be AdminVM");
	return true;
}

static bool resolve(struct call *c, enum door door, const struct request *r)
{
	c->src = qube_hold(call_qube(r->source, &c->fault));
	c->dest = c->src ? qube_hold(call_qube(r->untrusted_dest, &c->fault)) : NULL;
	if (!c->dest)
		return false;
	c->method = method_find(door, r->untrusted_method);
	if (!c->method)
		return fault_set(&c->fault, E_PROTOCOL, "no such method: '%.200s'",
		                 r->untrusted_method);
	return true;
}

void call_run(enum door door, const struct request *r, struct conn *conn)
{
	struct call *c = memory_get(sizeof(*c));
	bool keep;

	c->conn = conn;
	conn_set_call(conn, c);
	c->started_ns = loop_now_ns();
	c->arg = memory_text(r->untrusted_arg);
	c->payload_len = r->untrusted_payload_len;
	c->payload = memory_get(c->payload_len + 1);
	memcpy(c->payload, r->untrusted_payload, c->payload_len);
	turn_begin();
	if (resolve(c, door, r) && check_row(c))
		c->method->fn(c);
	if (c->waiting && !c->fault.type) {
		turn_end(true);
		return;
	}
	/* A read changed nothing and waits for nobody. */
	if (turn_is_quiet()) {
		turn_end(false);
		send_reply(c, NULL);
		return;
	}
	keep = !c->fault.type || c->keep;
	call_finish(c);
	turn_end(keep);
}
