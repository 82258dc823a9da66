/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What qubes get by themselves: required devices at their start, wanted ones when both sides run. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/devices.h"
#include "services/admin/property.h"
#include "services/admin/turn.h"

static struct device *find(const struct assignment *a, const struct qube *backend)
{
	size_t i;

	for (i = 0; i < backend->run.n_devices; i++)
		if (device_matches(a, backend, backend->run.devices[i]))
			return backend->run.devices[i];
	return NULL;
}

/* The first device that is what the assignment means, of any backend. */
static struct device *find_any(const struct assignment *a, struct qube **ret_backend)
{
	struct device *d;
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		d = find(a, world.qubes[i]);
		if (d) {
			*ret_backend = world.qubes[i];
			return d;
		}
	}
	return NULL;
}

bool devices_required(struct qube *q, struct fault *f)
{
	struct qube *backend;
	size_t i;

	for (i = 0; i < q->n_assigned; i++) {
		const struct assignment *a = q->assigned[i];
		AUTO_TEXT text = {0};

		if (a->mode != MODE_REQUIRED)
			continue;
		device_text(a->backend, a->port, a->identity, &text);
		if (!find_any(a, &backend))
			return fault_set(f, E_QUBES, "%s device %s not available", a->devclass,
			                 text_get(&text));
		if (!devices_ground_can(device_class_by_name(a->devclass)))
			return fault_set(f, E_QUBES,
			                 "This ground cannot give %s the required %s device %s",
			                 q->name, a->devclass, text_get(&text));
	}
	return true;
}

void devices_log_failure(const struct qube *q, const struct fault *fault)
{
	LOG("%s: a device was not attached: %s", q->name, fault->text);
}

struct attaching {
	struct qube *q; /* held */
	struct assignment *a;
	device_done fn;
	void *arg;
};

/* Perhaps from within the turn that asked, perhaps much later. */
static void on_attached(void *arg, const struct fault *fault)
{
	struct attaching *w = arg;
	bool own = !turn_is_open();

	if (own)
		turn_begin();
	if (!fault && w->q->run.domid)
		devices_tell_attached(w->q, w->a);
	if (own)
		turn_end(true);
	w->fn(w->arg, fault);
	assignment_free(w->a);
	qube_release(w->q);
	free(w);
}

void devices_tell_attached(struct qube *q, const struct assignment *a)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT text = {0};
	AUTO_TEXT options = {0};

	text_printf(&event, "device-attach:%s", a->devclass);
	device_text(a->backend, a->port, a->identity, &text);
	device_options(a, &options);
	device_attached_add(q, a);
	event_fire(q, text_get(&event), "device", text_get(&text), "options", text_get(&options),
	           NULL);
}

/* The assignment made whole: which port, which device. */
static struct assignment *concrete(const struct assignment *wish, const struct qube *backend,
                                   const struct device *d)
{
	struct assignment *a = assignment_copy(wish);

	free(a->backend);
	free(a->port);
	free(a->identity);
	a->backend = memory_text(backend->name);
	a->port = memory_text(d->port);
	a->identity = memory_text(d->identity);
	return a;
}

static void attach(struct qube *q, struct qube *backend, const struct device *d,
                   const struct assignment *wish, device_done fn, void *arg)
{
	struct attaching *w = memory_get(sizeof(*w));
	struct fault f = {0};

	*w = (struct attaching){qube_hold(q), concrete(wish, backend, d), fn, arg};
	if (!device_attach_check(q, backend, d, w->a, &f))
		on_attached(w, &f);
	else
		device_attach(q, backend, d, w->a, on_attached, w);
}

/* Specific wishes come before general ones. */
static unsigned int weight(const struct assignment *a)
{
	return (text_equal(a->port, "*") ? 0U : 2U) + (text_equal(a->identity, "*") ? 0U : 1U);
}

void devices_attach_wanted(struct qube *q, struct qube *backend, const struct device *d,
                           device_done fn, void *arg)
{
	const struct assignment *best = NULL;
	size_t i;

	for (i = 0; i < q->n_assigned; i++) {
		const struct assignment *a = q->assigned[i];

		if (a->mode != MODE_AUTO || !device_matches(a, backend, d) ||
		    (best && weight(best) >= weight(a)))
			continue;
		best = a;
	}
	if (best)
		attach(q, backend, d, best, fn, arg);
	else
		fn(arg, NULL);
}

static void on_started(void *arg, const struct fault *fault)
{
	if (fault)
		devices_log_failure(arg, fault);
	qube_release(arg);
}

/* Required devices are part of the qube from its first moment. */
static void note_required(struct qube *q, const struct assignment *a)
{
	struct qube *backend;
	struct device *d = find_any(a, &backend);
	struct assignment *have;

	if (!d || device_attached(q, d->klass, backend->name, d->port))
		return;
	have = concrete(a, backend, d);
	device_attached_add(q, have);
	assignment_free(have);
}

void devices_started(struct qube *q)
{
	size_t i, k;

	devices_watch(q);
	for (i = 0; i < q->n_assigned; i++) {
		struct assignment *a = q->assigned[i];

		if (a->mode == MODE_REQUIRED)
			note_required(q, a);
		if (a->mode != MODE_AUTO)
			continue;
		for (k = 0; k < world.n_qubes; k++) {
			struct qube *backend = world.qubes[k];
			struct device *d = backend == q ? NULL : find(a, backend);

			if (d && !device_frontend(backend, d, NULL))
				attach(q, backend, d, a, on_started, qube_hold(q));
		}
	}
}
