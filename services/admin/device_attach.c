/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connecting devices to qubes and taking them away. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/devices.h"
#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/request.h"

#define USB_WAIT_MS   60000U
#define NOT_INSTALLED 127

static const char *option_of(const struct assignment *a, const char *key)
{
	return pairs_get(a->options, a->n_options, key);
}

/* xvdi … xvdz, xvdaa … xvdzz, then xvda … xvdh: the first that is not in use. */
static bool frontend_used(const struct qube *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->run.n_attached; i++)
		if (text_equal(q->run.attached[i]->devclass, "block") &&
		    option_of(q->run.attached[i], "frontend-dev") &&
		    text_equal(option_of(q->run.attached[i], "frontend-dev"), name))
			return true;
	/* The qube's own volumes. */
	return strlen(name) == 4 && name[3] < (char)('a' + (q->n_volumes < 4 ? 4 : q->n_volumes));
}

static bool pick_frontend(struct qube *q, struct assignment *a)
{
	const char *type = option_of(a, "devtype");
	char name[8];
	unsigned int i;

	if (type && strcmp(type, "cdrom") == 0 && !frontend_used(q, "xvdd")) {
		pairs_set(&a->options, &a->n_options, "frontend-dev", "xvdd");
		return true;
	}
	for (i = 8; i < 26 + 26 * 26 + 8; i++) {
		if (i < 26)
			snprintf(name, sizeof(name), "xvd%c", 'a' + (int)i);
		else if (i < 26 + 26 * 26)
			snprintf(name, sizeof(name), "xvd%c%c", 'a' + (int)(i - 26) / 26,
			         'a' + (int)(i - 26) % 26);
		else
			snprintf(name, sizeof(name), "xvd%c", 'a' + (int)i - 26 - 26 * 26);
		if (frontend_used(q, name))
			continue;
		pairs_set(&a->options, &a->n_options, "frontend-dev", name);
		return true;
	}
	return false;
}

static bool check_block_options(struct assignment *a, struct fault *f)
{
	size_t i;

	for (i = 0; i < a->n_options; i++) {
		const char *key = a->options[i].name, *value = a->options[i].value;

		if (strcmp(key, "frontend-dev") == 0) {
			if (!text_starts(value, "xvd") && !text_starts(value, "sd"))
				return fault_set(f, E_VALUE,
				                 "Invalid frontend-dev option value: %.60s", value);
		} else if (strcmp(key, "devtype") == 0) {
			if (strcmp(value, "disk") != 0 && strcmp(value, "cdrom") != 0)
				return fault_set(
				        f, E_VALUE,
				        "devtype option can only have values 'disk' or 'cdrom'");
		} else if (strcmp(key, "read-only") == 0) {
			int truth = request_bool(value);

			if (truth < 0)
				return fault_set(
				        f, E_VALUE,
				        "read-only option can only have values 'yes' or 'no'");
			pairs_set(&a->options, &a->n_options, key, truth ? "yes" : "no");
		} else {
			return fault_set(f, E_VALUE, "Unsupported option %.60s", key);
		}
	}
	return true;
}

static bool check_block(struct qube *q, const struct qube *backend, const struct device *d,
                        struct assignment *a, struct fault *f)
{
	const char *read_only;

	if (!check_block_options(a, f))
		return false;
	read_only = option_of(a, "read-only");
	if (!read_only)
		pairs_set(&a->options, &a->n_options, "read-only", d->read_only ? "yes" : "no");
	else if (d->read_only && strcmp(read_only, "yes") != 0)
		return fault_set(f, E_VALUE, "This device can be attached only read-only");
	if (option_of(a, "frontend-dev")) {
		if (frontend_used(q, option_of(a, "frontend-dev")))
			return fault_set(f, E_VALUE, "%s is in use in %s",
			                 option_of(a, "frontend-dev"), q->name);
		return true;
	}
	if (!pick_frontend(q, a))
		return fault_set(f, E_QUBES, "%s has no free name for a disk", q->name);
	return true;
}

static bool check_pci(const struct qube *q, const struct assignment *a, struct fault *f)
{
	AUTO_TEXT virt = {0};
	size_t i;

	for (i = 0; i < a->n_options; i++)
		if (strcmp(a->options[i].name, "no-strict-reset") != 0 &&
		    strcmp(a->options[i].name, "permissive") != 0)
			return fault_set(f, E_VALUE, "Unsupported option %.60s",
			                 a->options[i].name);
	if (q->klass == CLASS_ADMIN)
		return fault_set(f, E_VALUE, "Cannot attach pci device to dom0");
	property_read(q, PROP_VIRT_MODE, &virt);
	if (text_equal(text_get(&virt), "pvh"))
		return fault_set(f, E_VALUE, "Cannot attach pci device to pvh qube");
	return true;
}

bool device_attach_check(struct qube *q, struct qube *backend, const struct device *d,
                         struct assignment *a, struct fault *f)
{
	struct qube *audiovm;

	if (!devices_ground_can(d->klass))
		return fault_set(f, E_QUBES,
		                 "This ground cannot attach %s devices to running qubes",
		                 device_class_name(d->klass));
	switch (d->klass) {
	case DEVICE_BLOCK:
		return check_block(q, backend, d, a, f);
	case DEVICE_PCI:
		return check_pci(q, a, f);
	case DEVICE_MIC:
		if (a->n_options)
			return fault_set(f, E_QUBES,
			                 "Microphone assignment does not support user options");
		audiovm = property_qube(q, PROP_AUDIOVM);
		if (!audiovm || !qube_active(audiovm))
			return fault_set(f, E_NOT_STARTED, "Audio qube of %s does not run",
			                 q->name);
		return true;
	case DEVICE_USB:
		if (a->n_options)
			return fault_set(f, E_QUBES,
			                 "USB device attach do not support user options");
		return true;
	case DEVICE_CLASSES:
		break;
	}
	return false;
}

void device_attached_add(struct qube *q, const struct assignment *a)
{
	AUTO_TEXT key = {0};
	AUTO_TEXT row = {0};

	q->run.attached =
	        memory_resize(q->run.attached, q->run.n_attached + 1, sizeof(*q->run.attached));
	q->run.attached[q->run.n_attached++] = assignment_copy(a);
	text_printf(&key, "attached/%s/", q->uuid);
	assignment_key(a, &key);
	assignment_row(a, &row);
	row_set(ROW_KEPT, world.system, text_get(&key), text_get(&row));
}

void device_attached_drop(struct qube *q, struct assignment *a)
{
	AUTO_TEXT key = {0};
	size_t i;

	for (i = 0; i < q->run.n_attached && q->run.attached[i] != a;)
		i++;
	if (i == q->run.n_attached)
		return;
	memmove(q->run.attached + i, q->run.attached + i + 1,
	        (q->run.n_attached - i - 1) * sizeof(*q->run.attached));
	q->run.n_attached--;
	text_printf(&key, "attached/%s/", q->uuid);
	assignment_key(a, &key);
	if (kept_get(text_get(&key)))
		row_set(ROW_KEPT, world.system, text_get(&key), NULL);
	assignment_free(a);
}

void device_attached_manual(struct qube *q, const struct assignment *like)
{
	struct assignment *a =
	        device_attached(q, device_class_by_name(like->devclass), like->backend, like->port);
	struct assignment *now;

	if (!a || a->mode == MODE_MANUAL)
		return;
	now = assignment_copy(a);
	now->mode = MODE_MANUAL;
	if (text_equal(a->devclass, "pci"))
		pairs_free(&now->options, &now->n_options);
	device_attached_drop(q, a);
	device_attached_add(q, now);
	assignment_free(now);
}

/* A service's end; what it was for. */
struct servicing {
	struct qube *q; /* held */
	const char *service;
	device_done fn;
	void *arg;
};

static void on_service(void *arg, const struct monitor_message *m)
{
	struct servicing *s = arg;
	struct fault f = {0};

	if (m->kind == MONITOR_FAILED)
		fault_set(&f, E_QUBES, "%s in %s: %s", s->service, s->q->name, m->failed.text);
	else if (m->done.status == NOT_INSTALLED)
		fault_set(&f, E_QUBES, "%s is not installed in %s", s->service, s->q->name);
	else if (m->done.status)
		fault_set(&f, E_QUBES, "%s in %s ended with status %u", s->service, s->q->name,
		          m->done.status);
	s->fn(s->arg, f.type ? &f : NULL);
	qube_release(s->q);
	free(s);
}

static void run_usb(struct qube *in, const char *service, const char *input, device_done fn,
                    void *arg)
{
	struct servicing *s = memory_get(sizeof(*s));

	*s = (struct servicing){qube_hold(in), service, fn, arg};
	event_fire(in, "domain-cmd-pre-run", "start_guid", "False", NULL);
	ground_call(in, "root", service, input, strlen(input), USB_WAIT_MS, on_service, s);
}

/* The microphone is the audio qube's to give. */
static void switch_mic(struct qube *q, const char *value)
{
	struct qube *audiovm = property_qube(q, PROP_AUDIOVM);
	AUTO_TEXT key = {0};

	text_printf(&key, "/audio-input-config/%s", q->name);
	if (audiovm)
		qdb_write(audiovm, text_get(&key), value);
}

void device_attach(struct qube *q, struct qube *backend, const struct device *d,
                   const struct assignment *a, device_done fn, void *arg)
{
	char input[QUBE_NAME_LEN + DEVICE_PORT_LEN + 4];

	if (d->klass == DEVICE_USB) {
		snprintf(input, sizeof(input), "%s %s\n", backend->name, d->port);
		run_usb(q, "qubes.USBAttach", input, fn, arg);
		return;
	}
	if (d->klass == DEVICE_MIC)
		switch_mic(q, "1");
	fn(arg, NULL);
}

void device_detach(struct qube *q, struct assignment *a, device_done fn, void *arg)
{
	struct qube *backend = qube_by_name(a->backend);
	char input[DEVICE_PORT_LEN + 4];

	if (text_equal(a->devclass, "usb") && backend && backend->run.domid) {
		snprintf(input, sizeof(input), "%.63s\n", a->port);
		run_usb(backend, "qubes.USBDetach", input, fn, arg);
		return;
	}
	if (text_equal(a->devclass, "mic"))
		switch_mic(q, "0");
	fn(arg, NULL);
}
