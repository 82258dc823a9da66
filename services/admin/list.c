/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is: classes, and the list of qubes with what of it the caller may see. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/filter.h"
#include "services/admin/methods.h"

void method_vmclass_list(struct call *c)
{
	static const enum qube_class order[] = {CLASS_APP,   CLASS_TEMPLATE, CLASS_STANDALONE,
	                                        CLASS_ADMIN, CLASS_DISP,     CLASS_REMOTE};
	size_t i;

	for (i = 0; i < ARRAY_LEN(order); i++)
		text_printf(&c->reply, "%s\n", class_name(order[i]));
}

void method_deviceclass_list(struct call *c)
{
	text_puts(&c->reply, "usb\nmic\npci\nblock\n");
}

static void print(struct text *out, const struct qube *q)
{
	text_puts(out, q->name);
	text_puts(out, " class=");
	text_puts(out, class_name(q->klass));
	text_puts(out, " state=");
	text_puts(out, state_name(q));
	text_puts(out, " uuid=");
	text_puts(out, q->uuid);
	text_char(out, '\n');
}

/* A list for a qube: each entry is there if policy says so. Freed with the last verdict. */
struct listing {
	struct call *call;
	size_t n, open;
	struct entry {
		struct qube *q; /* held */
		bool allowed;
	} entries[];
};

static void finish(struct listing *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (l->entries[i].allowed && !l->entries[i].q->gone)
			print(&l->call->reply, l->entries[i].q);
		qube_release(l->entries[i].q);
	}
	if (!turn_is_open()) {
		turn_begin();
		call_finish(l->call);
		turn_end(true);
	} else {
		l->call->waiting = false;
	}
	free(l);
}

static void on_verdict(void *arg, void *item, bool allowed)
{
	struct listing *l = arg;
	struct entry *e = item;

	e->allowed = allowed;
	if (--l->open == 0)
		finish(l);
}

static void list_filtered(struct call *c, struct qube *const *qubes, size_t n)
{
	struct listing *l = memory_get(sizeof(*l) + n * sizeof(l->entries[0]));
	size_t i;

	l->call = c;
	l->n = n;
	/* One more than there are, so that nothing is finished before all are asked. */
	l->open = n + 1;
	call_wait(c);
	for (i = 0; i < n; i++)
		l->entries[i].q = qube_hold(qubes[i]);
	for (i = 0; i < n; i++)
		filter_ask(c->src->name, qubes[i]->name, "admin.vm.List+", on_verdict, l,
		           &l->entries[i]);
	if (--l->open == 0)
		finish(l);
}

void method_vm_list(struct call *c)
{
	struct qube *const *qubes = &c->dest;
	size_t n = 1, i;

	if (c->dest->klass == CLASS_ADMIN) {
		qubes = world.qubes;
		n = world.n_qubes;
	}
	if (!call_from_dom0(c)) {
		list_filtered(c, qubes, n);
		return;
	}
	for (i = 0; i < n; i++)
		print(&c->reply, qubes[i]);
}
