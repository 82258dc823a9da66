/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that qubes expose, kept in memory; lists of what is denied. Contract: devices.h. */
#include "services/admin/devices.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/device_parse.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/request.h"

#define HEX "0123456789abcdef"
#define BAD_CODE                                                                                   \
	"Interface code list should be in the form chhhhhhchhhhhh...,where c is one of \"b\", "    \
	"\"u\", \"m\", \"p\", \"*\" and h is a hexdigit or \"*\"."

static bool ground_can[DEVICE_CLASSES] = {[DEVICE_MIC] = true, [DEVICE_USB] = true};

bool devices_can_add(const char *devclass)
{
	enum device_class c = device_class_by_name(devclass);

	if (c != DEVICE_CLASSES)
		ground_can[c] = true;
	return c != DEVICE_CLASSES;
}

bool devices_ground_can(enum device_class klass)
{
	return ground_can[klass];
}

static void add_device(struct qube *q, struct device *d)
{
	q->run.devices =
	        memory_resize(q->run.devices, q->run.n_devices + 1, sizeof(struct device *));
	q->run.devices[q->run.n_devices++] = d;
}

struct device *device_by_port(const struct qube *backend, enum device_class klass, const char *port)
{
	size_t i;

	for (i = 0; i < backend->run.n_devices; i++)
		if (backend->run.devices[i]->klass == klass &&
		    strcmp(backend->run.devices[i]->port, port) == 0)
			return backend->run.devices[i];
	return NULL;
}

bool device_matches(const struct assignment *a, const struct qube *backend, const struct device *d)
{
	return text_equal(a->devclass, device_class_name(d->klass)) &&
	       (!a->backend[0] || text_equal(a->backend, backend->name)) &&
	       (text_equal(a->port, "*") || text_equal(a->port, d->port)) &&
	       (text_equal(a->identity, "*") || text_equal(a->identity, d->identity));
}

struct assignment *device_attached(const struct qube *q, enum device_class klass,
                                   const char *backend, const char *port)
{
	size_t i;

	for (i = 0; i < q->run.n_attached; i++) {
		struct assignment *a = q->run.attached[i];

		if (text_equal(a->devclass, device_class_name(klass)) &&
		    text_equal(a->backend, backend) && text_equal(a->port, port))
			return a;
	}
	return NULL;
}

struct qube *device_frontend(const struct qube *backend, const struct device *d,
                             struct assignment **ret)
{
	struct assignment *a;
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		a = device_attached(world.qubes[i], d->klass, backend->name, d->port);
		if (!a)
			continue;
		if (ret)
			*ret = a;
		return world.qubes[i];
	}
	return NULL;
}

void device_text(const char *backend, const char *port, const char *identity, struct text *out)
{
	text_printf(out, "%s:%s:%s", backend[0] ? backend : "*", port, identity);
}

void device_options(const struct assignment *a, struct text *out)
{
	size_t i;

	text_char(out, '{');
	for (i = 0; i < a->n_options; i++)
		text_printf(out, "%s'%s': '%s'", i ? ", " : "", a->options[i].name,
		            a->options[i].value);
	text_char(out, '}');
}

static bool code_ok(const char *code)
{
	size_t i;

	if (!strchr("bump*", code[0]))
		return false;
	for (i = 1; i < INTERFACE_LEN; i++)
		if (!strchr(HEX "*", code[i]))
			return false;
	return true;
}

static int by_code(const void *a, const void *b)
{
	return memcmp(a, b, INTERFACE_LEN);
}

bool devices_denied_rewrite(struct text *value, struct fault *f)
{
	size_t n = value->len / INTERFACE_LEN, i, kept = 0;
	char *p;

	if (value->len % INTERFACE_LEN)
		return fault_set(
		        f, E_VALUE,
		        "Invalid length of interfaces='%.200s' (is %zu, expected multiple of 7)",
		        value->data, value->len);
	if (value->len == 0)
		return true;
	p = value->data;
	for (i = 0; i < value->len; i++)
		p[i] = (char)tolower((unsigned char)p[i]);
	for (i = 0; i < n; i++)
		if (!code_ok(p + i * INTERFACE_LEN))
			return fault_set(f, E_PROPERTY_VALUE, BAD_CODE);
	qsort(p, n, INTERFACE_LEN, by_code);
	for (i = 0; i < n; i++)
		if (i == 0 ||
		    memcmp(p + (i - 1) * INTERFACE_LEN, p + i * INTERFACE_LEN, INTERFACE_LEN) != 0)
			memmove(p + INTERFACE_LEN * kept++, p + i * INTERFACE_LEN, INTERFACE_LEN);
	value->len = kept * INTERFACE_LEN;
	p[value->len] = 0;
	return true;
}

static bool code_matches(const char *pattern, const char *code)
{
	size_t i;

	for (i = 0; i < INTERFACE_LEN; i++)
		if (pattern[i] != '*' && pattern[i] != code[i])
			return false;
	return true;
}

static const char *interface_name(const char *code)
{
	const char *name;

	switch (code[0]) {
	case 'b':
		return "Block Device";
	case 'm':
		return "Microphone";
	case 'u':
		name = ids_usb_interface(code + 1);
		return name[0] ? name : "USB Device";
	case 'p':
		return "PCI Device";
	default:
		return "Unknown Device";
	}
}

const char *device_banned(const struct device *d, const char *denied)
{
	size_t i, k, n = strlen(d->interfaces) / INTERFACE_LEN;

	for (i = 0; i < n; i++)
		for (k = 0; k < strlen(denied) / INTERFACE_LEN; k++)
			if (code_matches(denied + k * INTERFACE_LEN,
			                 d->interfaces + i * INTERFACE_LEN))
				return interface_name(d->interfaces + i * INTERFACE_LEN);
	return NULL;
}

static struct pair *pci;
static size_t n_pci;

/* Kept as given until the world exists. */
bool devices_pci_add(const char *text)
{
	struct pair *p = NULL;
	size_t n = 0;
	const char *at = text;
	bool ok;

	while (*at) {
		size_t key = strcspn(at, "="), value;
		AUTO_TEXT k = {0};
		AUTO_TEXT v = {0};

		if (strncmp(at + key, "='", 2) != 0)
			break;
		text_add(&k, at, key);
		at += key + 2;
		value = strcspn(at, "'");
		text_add(&v, at, value);
		at += value;
		at += *at == '\'';
		at += *at == ' ';
		pairs_set(&p, &n, text_get(&k), text_get(&v));
	}
	ok = !*at && pairs_get(p, n, "port") && pairs_get(p, n, "sbdf") &&
	     pairs_get(p, n, "class") && pairs_get(p, n, "vendor") && pairs_get(p, n, "product") &&
	     strlen(pairs_get(p, n, "port")) < DEVICE_PORT_LEN;
	if (ok)
		pairs_set(&pci, &n_pci, pairs_get(p, n, "port"), text);
	if (ok) {
		AUTO_TEXT lines = {0};

		pairs_print(&lines, p, n);
		pairs_set(&pci, &n_pci, pairs_get(p, n, "port"), text_get(&lines));
	}
	pairs_free(&p, &n);
	return ok;
}

static char *copy_of(const struct pair *p, size_t n, const char *key)
{
	const char *value = pairs_get(p, n, key);

	return memory_text(value ? value : "");
}

static struct device *pci_device(const char *lines)
{
	struct device *d = memory_get(sizeof(*d));
	struct pair *p = NULL;
	size_t n = 0;
	AUTO_TEXT identity = {0};
	AUTO_TEXT code = {0};
	const char *klass;

	pairs_parse(lines, &p, &n);
	klass = pairs_get(p, n, "class");
	text_printf(&code, "p%s", text_starts(klass, "0x") ? klass + 2 : klass);
	text_printf(&identity, "%s:%s::%s", pairs_get(p, n, "vendor"), pairs_get(p, n, "product"),
	            text_get(&code));
	d->klass = DEVICE_PCI;
	memcpy(d->port, pairs_get(p, n, "port"), strlen(pairs_get(p, n, "port")) + 1);
	d->identity = text_take(&identity);
	d->vendor = copy_of(p, n, "vendor_name");
	d->product = copy_of(p, n, "product_name");
	d->manufacturer = memory_text("");
	d->name = memory_text("");
	d->serial = memory_text("");
	d->interfaces = text_take(&code);
	pairs_set(&d->data, &d->n_data, "sbdf", pairs_get(p, n, "sbdf"));
	pairs_free(&p, &n);
	return d;
}

static void add_microphone(struct qube *dom0)
{
	struct device *d = memory_get(sizeof(*d));

	d->klass = DEVICE_MIC;
	memcpy(d->port, "mic", 4);
	d->identity = memory_text("dom0:mic::m000000");
	d->vendor = memory_text("");
	d->product = memory_text("microphone");
	d->manufacturer = memory_text("default");
	d->name = memory_text("");
	d->serial = memory_text("");
	d->interfaces = memory_text("m000000");
	add_device(dom0, d);
}

/* Attachments are kept by the store: a restart of this service cuts nothing. */
static void restore(struct qube *q)
{
	AUTO_TEXT prefix = {0};
	size_t i;

	text_printf(&prefix, "attached/%s/", q->uuid);
	for (i = 0; i < world.n_kept; i++) {
		struct assignment *a;

		if (!text_starts(world.kept[i].name, text_get(&prefix)))
			continue;
		a = assignment_parse(world.kept[i].name + prefix.len, world.kept[i].value);
		if (!a)
			continue;
		q->run.attached = memory_resize(q->run.attached, q->run.n_attached + 1,
		                                sizeof(*q->run.attached));
		q->run.attached[q->run.n_attached++] = a;
	}
}

/* Required PCI devices came with the qube. */
static void restore_required(struct qube *q)
{
	size_t i;

	for (i = 0; i < q->n_assigned; i++) {
		struct assignment *a = q->assigned[i];

		if (a->mode != MODE_REQUIRED || !text_equal(a->devclass, "pci") ||
		    device_attached(q, DEVICE_PCI, a->backend, a->port))
			continue;
		q->run.attached = memory_resize(q->run.attached, q->run.n_attached + 1,
		                                sizeof(*q->run.attached));
		q->run.attached[q->run.n_attached++] = assignment_copy(a);
	}
}

void devices_settle(void)
{
	struct qube *dom0 = qube_by_name("dom0");
	size_t i;

	add_microphone(dom0);
	for (i = 0; i < n_pci; i++)
		add_device(dom0, pci_device(pci[i].value));
	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.domid) {
			restore(world.qubes[i]);
			restore_required(world.qubes[i]);
		}
}
