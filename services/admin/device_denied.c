/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.vm.device.denied.*: the property devices_denied, code by code. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/device_methods.h"
#include "services/admin/devices.h"
#include "services/admin/property.h"

static const struct property *denied_property(struct call *c)
{
	const struct property *p = property_by_name(c->dest, "devices_denied");

	if (!p)
		call_refuse(c, E_NO_PROPERTY, "Invalid property 'devices_denied' of %s",
		            c->dest->name);
	return p;
}

/* The payload as a list in form; false with a fault. */
static bool codes(struct call *c, struct text *out)
{
	text_add(out, c->payload, c->payload_len);
	if (strlen(out->data) != out->len)
		return fault_set(&c->fault, E_PROTOCOL, "Invalid characters in payload");
	return devices_denied_rewrite(out, &c->fault);
}

void method_denied_list(struct call *c)
{
	AUTO_TEXT is = {0};
	size_t i;

	if (!denied_property(c))
		return;
	property_read(c->dest, PROP_DEVICES_DENIED, &is);
	for (i = 0; i + INTERFACE_LEN <= is.len; i += INTERFACE_LEN) {
		if (i > 0)
			text_char(&c->reply, '\n');
		text_add(&c->reply, is.data + i, INTERFACE_LEN);
	}
}

void method_denied_add(struct call *c)
{
	const struct property *p = denied_property(c);
	AUTO_TEXT is = {0};
	AUTO_TEXT new = {0};

	if (!p || !codes(c, &new))
		return;
	if (new.len != c->payload_len) {
		call_refuse(c, E_PROTOCOL, "Duplicated device interfaces in payload.");
		return;
	}
	property_read(c->dest, PROP_DEVICES_DENIED, &is);
	text_puts(&is, text_get(&new));
	if (!property_set(c->dest, p, text_get(&is), is.len, &c->fault))
		return;
}

static bool contains(const struct text *list, const char *code)
{
	size_t i;

	for (i = 0; i + INTERFACE_LEN <= list->len; i += INTERFACE_LEN)
		if (memcmp(list->data + i, code, INTERFACE_LEN) == 0)
			return true;
	return false;
}

void method_denied_remove(struct call *c)
{
	const struct property *p = denied_property(c);
	bool all = c->payload_len == 3 && strcmp(c->payload, "all") == 0;
	AUTO_TEXT is = {0};
	AUTO_TEXT gone = {0};
	AUTO_TEXT left = {0};
	size_t i;

	if (!p || (!all && !codes(c, &gone)))
		return;
	property_read(c->dest, PROP_DEVICES_DENIED, &is);
	for (i = 0; !all && i + INTERFACE_LEN <= is.len; i += INTERFACE_LEN)
		if (!contains(&gone, is.data + i))
			text_add(&left, is.data + i, INTERFACE_LEN);
	if (!property_set(c->dest, p, text_get(&left), left.len, &c->fault))
		return;
}
