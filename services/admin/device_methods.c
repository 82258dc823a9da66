/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods admin.vm.device.*. */
#include "services/admin/device_methods.h"

#include <stdlib.h>
#include <string.h>

#include "services/admin/device_argument.h"
#include "services/admin/device_print.h"
#include "services/admin/devices.h"
#include "services/admin/property.h"

static int by_head(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t nx = strcspn(x, " "), ny = strcspn(y, " ");
	int order = strncmp(x, y, MIN(nx, ny));

	return order ? order : nx < ny ? -1 : nx > ny;
}

/* Lines by the text before their first space. */
static void put_sorted(struct text *out, struct text *lines)
{
	char **list = NULL, *at = lines->data, *line;
	size_t n = 0, i;

	while (at && (line = strsep(&at, "\n")) && at) {
		list = memory_resize(list, n + 1, sizeof(*list));
		list[n++] = line;
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), by_head);
	for (i = 0; i < n; i++)
		text_printf(out, "%s\n", list[i]);
	free(list);
}

void method_device_available(struct call *c)
{
	enum device_class klass = device_class_by_name(c->method->data);
	struct qube *q = c->dest;
	AUTO_TEXT lines = {0};
	size_t i;

	for (i = 0; i < q->run.n_devices; i++)
		if (q->run.devices[i]->klass == klass &&
		    (!c->arg[0] || text_equal(q->run.devices[i]->port, c->arg)))
			device_print(&lines, q, q->run.devices[i]);
	put_sorted(&c->reply, &lines);
}

static void list(struct call *c, struct assignment *const *all, size_t n)
{
	struct assignment *only = NULL;
	AUTO_TEXT lines = {0};
	bool full;
	size_t i;

	if (c->arg[0]) {
		only = device_argument(c->method->data, c->arg, &full, &c->fault);
		if (!only)
			return;
	}
	for (i = 0; i < n; i++)
		if (text_equal(all[i]->devclass, c->method->data) &&
		    (!only || (text_equal(all[i]->backend, only->backend) &&
		               text_equal(all[i]->port, only->port))))
			device_print_assignment(&lines, c->dest, all[i]);
	put_sorted(&c->reply, &lines);
	assignment_free(only);
}

void method_device_assigned(struct call *c)
{
	list(c, c->dest->assigned, c->dest->n_assigned);
}

void method_device_attached(struct call *c)
{
	list(c, c->dest->run.attached, c->dest->run.n_attached);
}

/* The one device that a request means; NULL with a fault. */
static struct device *the_device(struct call *c, const struct assignment *a, struct qube *backend)
{
	struct device *d = NULL;
	size_t i, n = 0;

	for (i = 0; i < backend->run.n_devices; i++)
		if (device_matches(a, backend, backend->run.devices[i])) {
			d = backend->run.devices[i];
			n++;
		}
	if (n == 1)
		return d;
	call_refuse(c, E_PROTOCOL, "Cannot attach ambiguous %s device.", a->devclass);
	return NULL;
}

/* The list of what must not be attached is looked at whatever mode the request claims. */
static bool allowed(struct call *c, const struct assignment *a, struct qube *backend, bool full)
{
	AUTO_TEXT denied = {0};
	const struct device *d;
	const char *banned;

	property_read(c->dest, PROP_DEVICES_DENIED, &denied);
	if (denied.len == 0)
		return true;
	if (!full)
		return fault_set(&c->fault, E_DENIED,
		                 "Could not load interfaces to verify against denied list");
	d = the_device(c, a, backend);
	if (!d)
		return false;
	banned = device_banned(d, text_get(&denied));
	if (banned)
		return fault_set(&c->fault, E_DENIED, "Device exposes a banned interface: %s",
		                 banned);
	return true;
}

/* A device on its way to its qube: the call waits for it. */
struct attaching {
	struct call *call;
	struct assignment *a;
};

static void on_attached(void *arg, const struct fault *fault)
{
	struct attaching *w = arg;
	struct call *c = w->call;
	bool own = !turn_is_open();

	if (own)
		turn_begin();
	if (fault)
		c->fault = *fault;
	else if (c->dest->run.domid)
		devices_tell_attached(c->dest, w->a);
	if (own) {
		call_finish(c);
		turn_end(true);
	} else {
		c->waiting = false;
	}
	assignment_free(w->a);
	free(w);
}

static void pre_event(struct qube *q, const char *what, const struct assignment *a)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT text = {0};
	AUTO_TEXT options = {0};

	text_printf(&event, "%s:%s", what, a->devclass);
	device_text(a->backend, a->port, a->identity, &text);
	device_options(a, &options);
	event_fire(q, text_get(&event), "device", text_get(&text), "options", text_get(&options),
	           NULL);
}

static void make_concrete(struct assignment *a, const struct device *d)
{
	free(a->port);
	free(a->identity);
	a->port = memory_text(d->port);
	a->identity = memory_text(d->identity);
}

static void attach(struct call *c, struct assignment *a, struct qube *backend)
{
	struct qube *frontend;
	struct attaching *w;
	struct device *d;

	if (!c->dest->run.domid) {
		call_refuse(c, E_NOT_RUNNING,
		            "VM not running, cannot attach device, do you mean `assign`?");
		return;
	}
	d = the_device(c, a, backend);
	if (!d)
		return;
	frontend = device_frontend(backend, d, NULL);
	if (frontend) {
		(void)fault_keyerror(&c->fault, E_DEVICE_ATTACHED,
		                     "%s device %s:%s already attached to %s", a->devclass,
		                     backend->name, d->port, frontend->name);
		return;
	}
	make_concrete(a, d);
	a->mode = MODE_MANUAL;
	pre_event(c->dest, "device-pre-attach", a);
	if (!device_attach_check(c->dest, backend, d, a, &c->fault))
		return;
	w = memory_get(sizeof(*w));
	*w = (struct attaching){c, assignment_copy(a)};
	call_wait(c);
	device_attach(c->dest, backend, d, w->a, on_attached, w);
}

static struct qube *backend_of(struct call *c, const struct assignment *a)
{
	struct qube *q = qube_by_name(a->backend);

	if (!q)
		call_refuse(c, E_NOT_FOUND, "No such domain: '%s'", a->backend);
	return q;
}

static bool has_devices(struct call *c)
{
	if (c->dest->klass == CLASS_REMOTE)
		return fault_set(&c->fault, E_VALUE, "%s is a remote qube: it has no devices",
		                 c->dest->name);
	return true;
}

void method_device_attach(struct call *c)
{
	bool full;
	struct assignment *a = device_argument(c->method->data, c->arg, &full, &c->fault);
	struct qube *backend;

	if (a && has_devices(c) &&
	    device_payload(a, c->payload, c->payload_len, c->dest->name, &full, &c->fault)) {
		backend = backend_of(c, a);
		if (backend && allowed(c, a, backend, full))
			attach(c, a, backend);
	}
	assignment_free(a);
}

static void detach_event(struct qube *q, const char *what, const struct assignment *a)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT port = {0};

	text_printf(&event, "%s:%s", what, a->devclass);
	text_printf(&port, "%s:%s", a->backend, a->port);
	event_fire(q, text_get(&event), "port", text_get(&port), NULL);
}

static void on_detached(void *arg, const struct fault *fault)
{
	struct attaching *w = arg;
	struct call *c = w->call;
	struct assignment *have;
	bool own = !turn_is_open();

	if (own)
		turn_begin();
	have = device_attached(c->dest, device_class_by_name(w->a->devclass), w->a->backend,
	                       w->a->port);
	if (fault) {
		c->fault = *fault;
	} else if (have) {
		device_attached_drop(c->dest, have);
		detach_event(c->dest, "device-detach", w->a);
	}
	if (own) {
		call_finish(c);
		turn_end(true);
	} else {
		c->waiting = false;
	}
	assignment_free(w->a);
	free(w);
}

void method_device_detach(struct call *c)
{
	bool full;
	struct assignment *a = device_argument(c->method->data, c->arg, &full, &c->fault), *have;
	struct attaching *w;

	if (!a)
		return;
	have = device_attached(c->dest, device_class_by_name(a->devclass), a->backend, a->port);
	if (!have) {
		(void)fault_keyerror(&c->fault, E_DEVICE_NOT_ASSIGNED,
		                     "%s device %s not attached to %s", a->devclass, a->port,
		                     c->dest->name);
	} else if (have->mode == MODE_REQUIRED) {
		call_refuse(c, E_NOT_HALTED,
		            "Can not detach a required device from a non halted qube. You need to "
		            "unassign device first.");
	} else {
		detach_event(c->dest, "device-pre-detach", have);
		w = memory_get(sizeof(*w));
		*w = (struct attaching){c, assignment_copy(have)};
		call_wait(c);
		device_detach(c->dest, w->a, on_detached, w);
	}
	assignment_free(a);
}

static struct assignment *assigned(const struct qube *q, const struct assignment *like)
{
	size_t i;

	for (i = 0; i < q->n_assigned; i++) {
		struct assignment *a = q->assigned[i];

		if (text_equal(a->devclass, like->devclass) &&
		    text_equal(a->backend, like->backend) && text_equal(a->port, like->port) &&
		    text_equal(a->identity, like->identity))
			return a;
	}
	return NULL;
}

static void store(struct qube *q, const struct assignment *a)
{
	AUTO_TEXT key = {0};
	AUTO_TEXT row = {0};

	assignment_key(a, &key);
	assignment_row(a, &row);
	row_set(ROW_DEVICE, q, text_get(&key), text_get(&row));
}

/* An assignment that a later start would stumble over is refused now. */
static bool assign_check(struct call *c, const struct assignment *a, struct qube *backend)
{
	size_t i;

	if (text_equal(a->devclass, "pci")) {
		if (!backend ||
		    (!text_equal(a->port, "*") && !device_by_port(backend, DEVICE_PCI, a->port)))
			return fault_set(&c->fault, E_VALUE, "Invalid PCI device: %s", a->port);
		if (c->dest->klass == CLASS_ADMIN)
			return fault_set(&c->fault, E_VALUE, "Cannot assign pci device to dom0");
		if (c->dest->values[PROP_VIRT_MODE] &&
		    text_equal(c->dest->values[PROP_VIRT_MODE], "pvh"))
			return fault_set(&c->fault, E_VALUE,
			                 "Cannot assign pci device to pvh qube");
		for (i = 0; i < a->n_options; i++)
			if (strcmp(a->options[i].name, "no-strict-reset") != 0 &&
			    strcmp(a->options[i].name, "permissive") != 0)
				return fault_set(&c->fault, E_VALUE, "Unsupported option %.60s",
				                 a->options[i].name);
	}
	if (c->dest->n_assigned >= ASSIGNED_MAX)
		return fault_set(&c->fault, E_VALUE,
		                 "%s has as many assignments as a qube may have", c->dest->name);
	return true;
}

static void assign(struct call *c, struct assignment *a)
{
	struct qube *backend = a->backend[0] ? backend_of(c, a) : NULL;
	AUTO_TEXT text = {0};

	if (c->fault.type)
		return;
	if (a->mode == MODE_MANUAL) {
		call_refuse(c, E_VALUE,
		            "Only assignments with another mode than manual can be stored");
		return;
	}
	device_text(a->backend, a->port, a->identity, &text);
	if (assigned(c->dest, a)) {
		(void)fault_keyerror(&c->fault, E_DEVICE_ASSIGNED,
		                     "%s device %s already assigned to %s", a->devclass,
		                     text_get(&text), c->dest->name);
		return;
	}
	pre_event(c->dest, "device-pre-assign", a);
	if (!assign_check(c, a, backend))
		return;
	store(c->dest, a);
	pre_event(c->dest, "device-assign", a);
}

void method_device_assign(struct call *c)
{
	bool full;
	struct assignment *a = device_argument(c->method->data, c->arg, &full, &c->fault);

	if (a && has_devices(c) &&
	    device_payload(a, c->payload, c->payload_len, c->dest->name, &full, &c->fault))
		assign(c, a);
	assignment_free(a);
}

void method_device_unassign(struct call *c)
{
	bool full;
	struct assignment *a = device_argument(c->method->data, c->arg, &full, &c->fault);
	AUTO_TEXT text = {0};
	AUTO_TEXT key = {0};
	AUTO_TEXT event = {0};

	if (!a)
		return;
	device_text(a->backend, a->port, a->identity, &text);
	if (!assigned(c->dest, a)) {
		(void)fault_keyerror(&c->fault, E_DEVICE_NOT_ASSIGNED,
		                     "%s device %s not assigned to %s", a->devclass,
		                     text_get(&text), c->dest->name);
	} else {
		assignment_key(a, &key);
		row_set(ROW_DEVICE, c->dest, text_get(&key), NULL);
		device_attached_manual(c->dest, a);
		text_printf(&event, "device-unassign:%s", a->devclass);
		event_fire(c->dest, text_get(&event), "device", text_get(&text), NULL);
	}
	assignment_free(a);
}

void method_device_set_assignment(struct call *c)
{
	bool full;
	struct assignment *a = device_argument(c->method->data, c->arg, &full, &c->fault), *is,
	                  *next;
	int mode = mode_by_name(c->payload);
	AUTO_TEXT text = {0};
	AUTO_TEXT event = {0};

	if (!a)
		return;
	is = assigned(c->dest, a);
	device_text(a->backend, a->port, a->identity, &text);
	if (mode <= MODE_MANUAL || strlen(c->payload) != c->payload_len) {
		call_refuse(c, E_DEVICE_MODE, "Invalid assignment mode");
	} else if (!is) {
		call_refuse(c, E_VALUE, "Device %s not assigned to %s", text_get(&text),
		            c->dest->name);
	} else if (is->mode != (enum assignment_mode)mode) {
		next = assignment_copy(is);
		next->mode = (enum assignment_mode)mode;
		pre_event(c->dest, "device-pre-assign", next);
		store(c->dest, next);
		text_printf(&event, "device-assignment-changed:%s", a->devclass);
		event_fire(c->dest, text_get(&event), "device", text_get(&text), NULL);
		assignment_free(next);
	}
	assignment_free(a);
}
