/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices and assignments as the Admin API shows them. Contract: device_print.h. */
#include "services/admin/device_print.h"

static void put_pair(struct text *out, const char *prefix, const char *key, const char *value)
{
	text_printf(out, " %s%s='", prefix, key);
	for (; *value; value++) {
		if (*value == '\'')
			text_char(out, '\\');
		text_char(out, *value);
	}
	text_char(out, '\'');
}

static void put_known(struct text *out, const char *key, const char *value)
{
	if (value[0])
		put_pair(out, "", key, value);
}

static void put_head(struct text *out, const char *identity, const char *port, const char *devclass,
                     const char *backend)
{
	put_pair(out, "", "device_id", identity);
	put_pair(out, "", "port_id", port);
	put_pair(out, "", "devclass", devclass);
	put_pair(out, "", "backend_domain", backend);
}

void device_print(struct text *out, const struct qube *backend, const struct device *d)
{
	const struct qube *frontend = device_frontend(backend, d, NULL);
	size_t i;

	text_printf(out, "%s:%s", d->port, d->identity);
	put_head(out, d->identity, d->port, device_class_name(d->klass), backend->name);
	put_known(out, "vendor", d->vendor);
	put_known(out, "name", d->name);
	put_known(out, "serial", d->serial);
	put_known(out, "manufacturer", d->manufacturer);
	put_known(out, "product", d->product);
	/* PCI devices that are given away are no attachments in this list. */
	if (frontend && d->klass != DEVICE_PCI)
		put_pair(out, "", "attachment", frontend->name);
	put_known(out, "interfaces", d->interfaces);
	if (d->parent[0]) {
		put_pair(out, "", "parent_port_id", d->parent);
		put_pair(out, "", "parent_devclass", device_class_name(d->parent_class));
	}
	for (i = 0; i < d->n_data; i++)
		put_pair(out, "_", d->data[i].name, d->data[i].value);
	text_char(out, '\n');
}

void device_print_assignment(struct text *out, const struct qube *q, const struct assignment *a)
{
	size_t i;

	text_printf(out, "%s+%s:%s", a->backend[0] ? a->backend : "_", a->port, a->identity);
	put_head(out, a->identity, a->port, a->devclass, a->backend);
	put_pair(out, "", "mode", mode_name(a->mode));
	put_pair(out, "", "frontend_domain", q->name);
	for (i = 0; i < a->n_options; i++)
		put_pair(out, "_", a->options[i].name, a->options[i].value);
	text_char(out, '\n');
}
