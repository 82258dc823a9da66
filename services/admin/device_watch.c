/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices follow what their backend writes into its QubesDB: a change is read once, compared with what
 * was known, and told. Qubes that are to have a new device get it.
 */
#include <stdlib.h>
#include <string.h>

#include "services/admin/device_parse.h"
#include "services/admin/devices.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/turn.h"

#define BLOCK_KEY "/qubes-block-devices"
#define USB_KEY   "/qubes-usb-devices"

/* A reading of both lists: identities of block devices depend on those of usb devices. */
struct reading {
	struct qube *q; /* held */
	bool tell;
	struct device *blocks[DEVICES_MAX], *usbs[DEVICES_MAX];
	size_t n_blocks, n_usbs;
};

static void port_event(struct qube *q, const char *what, const struct device *d)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT port = {0};

	text_printf(&event, "%s:%s", what, device_class_name(d->klass));
	text_printf(&port, "%s:%s", q->name, d->port);
	event_fire(q, text_get(&event), "port", text_get(&port), NULL);
}

static void added_event(struct qube *q, const struct device *d)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT text = {0};

	text_printf(&event, "device-added:%s", device_class_name(d->klass));
	device_text(q->name, d->port, d->identity, &text);
	event_fire(q, text_get(&event), "device", text_get(&text), NULL);
}

/* Whoever had a device that is gone has it no more. */
static void cut(struct qube *backend, const struct device *d)
{
	struct assignment *a = NULL;
	struct qube *frontend = device_frontend(backend, d, &a);
	AUTO_TEXT event = {0};
	AUTO_TEXT port = {0};

	if (!frontend)
		return;
	text_printf(&event, "device-detach:%s", device_class_name(d->klass));
	text_printf(&port, "%s:%s", backend->name, d->port);
	device_attached_drop(frontend, a);
	event_fire(frontend, text_get(&event), "port", text_get(&port), NULL);
}

static const struct device *same(struct device *const *list, size_t n, const struct device *d)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i]->port, d->port) == 0 &&
		    strcmp(list[i]->identity, d->identity) == 0)
			return list[i];
	return NULL;
}

static void log_failure(void *arg, const struct fault *fault)
{
	struct qube *q = arg;

	if (fault)
		devices_log_failure(q, fault);
	qube_release(q);
}

/* The device appeared while qubes that are to have it run. */
static void offer(struct qube *backend, struct device *d)
{
	size_t i;

	for (i = 0; i < world.n_qubes && !device_frontend(backend, d, NULL); i++) {
		struct qube *q = world.qubes[i];

		if (q->run.domid && q != backend && q->run.state == STATE_RUNNING)
			devices_attach_wanted(q, backend, d, log_failure, qube_hold(q));
	}
}

/* Takes the new devices of a class in place of the old. */
static void replace(struct qube *q, enum device_class klass, struct device **list, size_t n,
                    bool tell)
{
	struct device **old = q->run.devices;
	size_t n_old = q->run.n_devices, i, kept = 0;

	q->run.devices = memory_get((n_old + n) * sizeof(*old));
	for (i = 0; i < n_old; i++)
		if (old[i]->klass != klass)
			q->run.devices[kept++] = old[i];
	for (i = 0; i < n; i++)
		q->run.devices[kept++] = list[i];
	q->run.n_devices = kept;
	for (i = 0; i < n && tell; i++)
		if (!same(old, n_old, list[i])) {
			added_event(q, list[i]);
			offer(q, list[i]);
		}
	for (i = 0; i < n_old; i++) {
		if (old[i]->klass != klass)
			continue;
		if (!same(list, n, old[i])) {
			cut(q, old[i]);
			if (tell)
				port_event(q, "device-removed", old[i]);
		}
		device_free(old[i]);
	}
	free(old);
}

static void finish(struct reading *r)
{
	device_parse_parents(r->q->name, r->blocks, r->n_blocks, r->usbs, r->n_usbs);
	turn_begin();
	replace(r->q, DEVICE_USB, r->usbs, r->n_usbs, r->tell);
	replace(r->q, DEVICE_BLOCK, r->blocks, r->n_blocks, r->tell);
	turn_end(true);
	qube_release(r->q);
	free(r);
}

static void on_blocks(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n)
{
	struct reading *r = arg;

	if (ok)
		r->n_blocks = device_parse_block(untrusted_pairs, n, r->blocks);
	if (r->q->run.domid && ok) {
		finish(r);
		return;
	}
	while (r->n_blocks > 0)
		device_free(r->blocks[--r->n_blocks]);
	while (r->n_usbs > 0)
		device_free(r->usbs[--r->n_usbs]);
	qube_release(r->q);
	free(r);
}

static void on_usbs(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n)
{
	struct reading *r = arg;

	if (ok)
		r->n_usbs = device_parse_usb(untrusted_pairs, n, r->usbs);
	qdb_read_all(r->q, BLOCK_KEY "/", on_blocks, r);
}

void devices_read(struct qube *q, bool tell)
{
	struct reading *r = memory_get(sizeof(*r));

	r->q = qube_hold(q);
	r->tell = tell;
	qdb_read_all(q, USB_KEY "/", on_usbs, r);
}

static void list_changed(struct qube *q, const char *change, const char *path)
{
	AUTO_TEXT event = {0};

	text_printf(&event, "domain-qdb-change:%s", path);
	turn_begin();
	event_fire(q, change, NULL);
	event_fire(q, text_get(&event), "path", path, NULL);
	turn_end(true);
	devices_read(q, true);
}

void devices_watch_fired(struct qube *q, const char *untrusted_path)
{
	if (strcmp(untrusted_path, BLOCK_KEY) == 0)
		list_changed(q, "device-list-change:block", BLOCK_KEY);
	else if (strcmp(untrusted_path, USB_KEY) == 0)
		list_changed(q, "device-list-change:usb", USB_KEY);
}

void devices_watch(struct qube *q)
{
	qdb_watch(q, BLOCK_KEY);
	qdb_watch(q, USB_KEY);
	devices_read(q, false);
}

void devices_stopped(struct qube *q)
{
	struct device **list = q->run.devices;
	size_t n = q->run.n_devices, i;

	while (q->run.n_attached > 0)
		device_attached_drop(q, q->run.attached[q->run.n_attached - 1]);
	event_fire(q, "device-list-change:usb", NULL);
	for (i = 0; i < n; i++)
		cut(q, list[i]);
	q->run.devices = NULL;
	q->run.n_devices = 0;
	for (i = 0; i < n; i++) {
		port_event(q, "device-removed", list[i]);
		device_free(list[i]);
	}
	free(list);
}
