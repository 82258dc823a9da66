/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_CALL_H
#define SERVICES_ADMIN_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/admin/fault.h"
#include "services/admin/model.h"
#include "services/admin/request.h"
#include "services/admin/text.h"
#include "services/admin/turn.h"

struct conn;
struct method;

/* The three sockets; a method belongs to one. */
enum door { DOOR_MAIN, DOOR_INTERNAL, DOOR_MISC, DOORS };

/*
 * One request that passed the checks of its method's row. It outlives its connection: a client that
 * goes away does not stop what it asked for.
 */
struct call {
	const struct method *method;
	struct qube *src, *dest; /* held */
	char *arg;               /* owned; checked by the handler */
	char *payload;           /* owned, a NUL stands behind it; checked by the handler */
	size_t payload_len;
	struct fault fault;
	struct text reply; /* content after "0" NUL */
	bool keep;         /* refused, but what was changed and told stays */
	bool waiting;      /* the handler returned, the answer comes later */
	struct conn *conn; /* NULL: the client is gone, or there never was one */
	/* Instead of a reply, for calls that the service makes itself. */
	void (*then)(void *arg, struct call *c);
	void *then_arg;
	uint64_t started_ns;
};

enum method_dest { DEST_ANY, DEST_DOM0, DEST_QUBE };
enum method_need { NEED_NONE, NEED_SOME, NEED_ANY };
enum method_policy { LOCAL_RO, LOCAL_RWX, GLOBAL_RO, GLOBAL_RWX, NO_POLICY };

/* One row per method: methods.c. */
struct method {
	const char *name;
	enum method_dest dest;
	enum method_need arg;
	enum method_need payload;
	enum method_policy policy; /* which include/admin-* file of the default policy */
	/*
	 * Runs in an open turn. Returns with c->fault set (refused), with c->reply filled (done), or
	 * with c->waiting set: then call_finish() comes later, in a turn of its own.
	 */
	void (*fn)(struct call *c);
	const char *data; /* of rows made for each class of qubes or of devices: that class */
};

/** methods_of() - the rows of a door, by name */
const struct method *methods_of(enum door door, size_t *ret_n);
const struct method *method_find(enum door door, const char *name);

/** call_run() - resolve and check a decoded request, run its handler; takes nothing of @r */
void call_run(enum door door, const struct request *r, struct conn *conn);

/** call_wait() - the handler's answer comes later */
static inline void call_wait(struct call *c)
{
	c->waiting = true;
}

/** call_finish() - the answer of a call that waited; in an open turn; frees the call when it went out */
void call_finish(struct call *c);

/** call_stream() - the connection became a stream: the call ends without a reply */
void call_stream(struct call *c);

/** call_refuse() - for handlers: fault_set() on the call */
#define call_refuse(c, ...) ((void)fault_set(&(c)->fault, __VA_ARGS__))

/** call_dest_resolve() - a name or uuid:… as requests have them; NULL with a fault */
struct qube *call_qube(const char *untrusted_name, struct fault *f);

/** reply_exception() - the frame of an exception */
void reply_exception(struct text *out, const struct fault *f);

bool call_from_dom0(const struct call *c);

#endif
