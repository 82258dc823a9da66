/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See orders.h. */
#include "hypervisor/xen/orders.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/xen/rights.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "process/starter.h"

enum { ORDER_QUBE = 1, ORDER_CONSOLE };

struct order {
	uint32_t kind;
	uint32_t domid;
	uint32_t owner;
	char name[MONITOR_NAME_LEN];
	struct monitor_create create; /* ORDER_QUBE; left out else */
};

#define SHORT_ORDER offsetof(struct order, create)

static struct starter starter = STARTER_EMPTY;

/* In the new process. */

static bool create_legal(const struct order *untrusted)
{
	static struct monitor_message m;

	m = (struct monitor_message){.kind = MONITOR_CREATE, .domid = untrusted->domid};
	m.create = untrusted->create;
	return monitor_check(&m) && memcmp(untrusted->name, m.create.name, MONITOR_NAME_LEN) == 0 &&
	       untrusted->owner == m.create.owner;
}

/* A name that becomes part of a file's. */
static bool name_legal(const struct order *untrusted)
{
	static const char legal[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strnlen(untrusted->name, sizeof(untrusted->name));

	return len > 0 && len < sizeof(untrusted->name) && strspn(untrusted->name, legal) == len;
}

static void take_order(void *arg, const void *untrusted_request, size_t len, const int *fds,
                       size_t n_fds)
{
	const struct order *untrusted = untrusted_request;
	static struct xen_qube q;
	bool common = len >= SHORT_ORDER && untrusted->domid > 0 &&
	              untrusted->domid <= MONITOR_DOMID_MAX &&
	              untrusted->owner <= MONITOR_OWNER_MAX && name_legal(untrusted);

	(void)arg;
	if (common) {
		q.domid = untrusted->domid;
		q.owner = untrusted->owner;
		memcpy(q.name, untrusted->name, sizeof(q.name));
	}
	if (common && len == sizeof(*untrusted) && untrusted->kind == ORDER_QUBE && n_fds == 1 &&
	    create_legal(untrusted)) {
		memcpy(q.uuid, untrusted->create.uuid, sizeof(q.uuid));
		q.ip = untrusted->create.ip;
		q.mac = untrusted->create.mac;
		xen_make(&q, &untrusted->create, fds[0]);
	}
	if (common && len == SHORT_ORDER && untrusted->kind == ORDER_CONSOLE && n_fds == 0)
		xen_read_console(&q);
	LOG("an order that is none");
	_exit(1);
}

/* The toolstack. */

int xen_orders_open(void)
{
	if (starter_open(&starter, take_order, xen_starter_confine, NULL) == 0)
		return 0;
	LOG_ERRNO("the starter of makers");
	return -1;
}

static void on_starter_end(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	LOG("the starter of makers has ended: the next toolstack has another");
	loop_stop(xen.loop, 1);
}

int xen_orders_watch(void)
{
	return starter_watch(&starter, xen.loop, on_starter_end, NULL);
}

void xen_orders_close(void)
{
	starter_close(&starter, xen.loop);
}

static void describe(struct order *o, uint32_t kind, const struct xen_qube *q)
{
	o->kind = kind;
	o->domid = q->domid;
	o->owner = q->owner;
	memcpy(o->name, q->name, sizeof(o->name));
}

pid_t xen_order_qube(const struct xen_qube *q, const struct monitor_create *create, int out)
{
	static struct order o;

	o = (struct order){.create = *create};
	describe(&o, ORDER_QUBE, q);
	return starter_run(&starter, &o, sizeof(o), &out, 1);
}

pid_t xen_order_console(const struct xen_qube *q)
{
	static struct order o;

	o = (struct order){0};
	describe(&o, ORDER_CONSOLE, q);
	return starter_run(&starter, &o, SHORT_ORDER, NULL, 0);
}
