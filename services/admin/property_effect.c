/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from a property's new value, before it is announced. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/feature_methods.h"
#include "services/admin/network.h"
#include "services/admin/property_internal.h"
#include "services/admin/qdb.h"
#include "services/admin/tags.h"
#include "services/admin/turn.h"
#include "services/admin/volumes.h"

EFFECT(label)
{
	if (c->q->klass != CLASS_ADMIN)
		property_changed(c->q, PROP_ICON);
}

EFFECT(audiovm)
{
	tag_follow(c->q, "audiovm-", c->ref);
	qdb_audiovm(c->q, c->ref);
}

EFFECT(guivm)
{
	tag_follow(c->q, "guivm-", c->ref);
}

EFFECT(relayvm)
{
	tag_follow(c->q, "relayvm-", c->ref);
}

EFFECT(ip)
{
	property_changed(c->q, PROP_VISIBLE_IP);
}

EFFECT(ip6)
{
	property_changed(c->q, PROP_VISIBLE_IP6);
}

static void netvm_set_event(struct qube *q, struct qube *old, struct qube *new)
{
	event_fire(q, "property-set:netvm", "name", "netvm", "newvalue", new ? new->name : "None",
	           "oldvalue", old ? old->name : "None", NULL);
}

EFFECT(netvm)
{
	struct qube *old = c->old && c->old[0] ? qube_by_name(c->old) : NULL;

	if (old == c->ref)
		return;
	network_switch(c->q, old, c->ref);
	if (c->reset)
		netvm_set_event(c->q, old, c->ref);
}

/*
 * Every qube that uses the default hears of it. The original also announces it on templates, with
 * their own default (no netvm) as the new value.
 */
EFFECT(default_netvm)
{
	struct qube *old = c->old && c->old[0] ? qube_by_name(c->old) : NULL;
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i], *new = q->klass == CLASS_TEMPLATE ? NULL : c->ref;

		if (!property_has(q, PROP_NETVM) || !property_is_default(q, PROP_NETVM))
			continue;
		if (old != new) {
			if (q->klass != CLASS_TEMPLATE)
				network_switch(q, old, new);
			netvm_set_event(q, old, new);
		}
		event_fire(q, "property-reset:netvm", "name", "netvm", "oldvalue",
		           old ? old->name : "None", NULL);
	}
}

EFFECT(provides_network)
{
	if (c->truth)
		feature_put(c->q, "servicevm", "1");
	else if (feature_get(c->q, "servicevm"))
		feature_drop(c->q, "servicevm");
	property_changed(c->q, PROP_ICON);
	property_changed(c->q, PROP_GATEWAY);
	property_changed(c->q, PROP_GATEWAY6);
}

EFFECT(template_for_dispvms)
{
	property_changed(c->q, PROP_ICON);
}

EFFECT(template)
{
	volumes_follow_template(c->q);
}

EFFECT(clockvm)
{
	struct qube *old = c->old && c->old[0] ? qube_by_name(c->old) : NULL;

	if (old == c->ref)
		return;
	if (c->ref && !feature_get(c->ref, "service.clocksync"))
		feature_put(c->ref, "service.clocksync", "1");
	if (old && feature_get(old, "service.clocksync"))
		feature_drop(old, "service.clocksync");
}

/* A default of the system changed: as if each qube that uses it had been set. */
static void default_role(struct property_change *c, enum property_id id, const char *prefix)
{
	const struct property *p = property_of(id);
	AUTO_TEXT name = {0};
	size_t i;

	text_printf(&name, "property-set:%s", p->name);
	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (!property_has(q, id) || !property_is_default(q, id))
			continue;
		tag_follow(q, prefix, c->ref);
		event_fire(q, text_get(&name), "name", p->name, "newvalue",
		           c->ref ? c->ref->name : "None", "oldvalue",
		           c->old && c->old[0] ? c->old : "None", NULL);
	}
}

EFFECT(default_guivm)
{
	default_role(c, PROP_GUIVM, "guivm-");
}

EFFECT(default_audiovm)
{
	default_role(c, PROP_AUDIOVM, "audiovm-");
}

EFFECT(default_dispvm)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (property_has(q, PROP_DEFAULT_DISPVM) &&
		    property_is_default(q, PROP_DEFAULT_DISPVM))
			event_fire(q, "property-reset:default_dispvm", "name", "default_dispvm",
			           "oldvalue", c->old && c->old[0] ? c->old : "None", NULL);
	}
}

EFFECT(keyboard_layout)
{
	size_t i;

	qdb_keyboard_layout(c->q);
	for (i = 0; i < world.n_qubes; i++)
		if (property_has(world.qubes[i], PROP_GUIVM) &&
		    property_is_default(world.qubes[i], PROP_KEYBOARD_LAYOUT) &&
		    property_qube(world.qubes[i], PROP_GUIVM) == c->q)
			qdb_keyboard_layout(world.qubes[i]);
}

EFFECT(maxmem)
{
	qdb_meminfo_writer(c->q);
}
