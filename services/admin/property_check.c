/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a property's value must be. check_*: before anything is announced, may rewrite the value;
 * allow_*: after "property-pre-set" (or "-pre-reset") was sent, for what depends on other state.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/devices.h"
#include "services/admin/network.h"
#include "services/admin/property_internal.h"
#include "services/admin/request.h"
#include "services/admin/turn.h"

#define USER_SET       SET_LETTERS SET_DIGITS "_-+,."
#define KERNELOPTS_MAX 512 /* characters; Admin API */
#define WRONG_CLASS    "wrong VM class: domains['%s'] is of type %s and not %s"

static void rewrite(struct property_change *c, const char *value)
{
	text_clear(c->value);
	text_puts(c->value, value);
}

CHECKER(local_or_none)
{
	if (c->ref && !qube_is_local(c->ref))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "%s is a remote qube, %s needs a local one", c->ref->name,
		                 c->p->name);
	return true;
}

CHECKER(user)
{
	if (!request_safe(c->value->data, USER_SET) || c->value->len > 31)
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 c->value->len > 31
		                         ? "Username must be shorter than 32 characters"
		                         : "Username can contain only those characters: " USER_SET);
	return true;
}

CHECKER(devices_denied)
{
	return devices_denied_rewrite(c->value, c->fault);
}

CHECKER(ip)
{
	struct in_addr a;

	if (inet_pton(AF_INET, c->value->data, &a) != 1)
		return fault_set(c->fault, E_VALUE,
		                 "Failed to parse property value as IPv4Address");
	return true;
}

CHECKER(ip6)
{
	struct in6_addr a;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, c->value->data, &a) != 1 ||
	    !inet_ntop(AF_INET6, &a, text, sizeof(text)))
		return fault_set(c->fault, E_VALUE,
		                 "Failed to parse property value as IPv6Address");
	rewrite(c, text);
	return true;
}

static const char *kernel_files(const char *version)
{
	return pairs_get(world.host.kernels, world.host.n_kernels, version);
}

CHECKER(kernel)
{
	if (strchr(c->value->data, '/'))
		return fault_set(c->fault, E_PROPERTY_VALUE, "Kernel name cannot contain '/'");
	return true;
}

ALLOWER(kernel_installed)
{
	const char *files;

	/* Without a default kernel there is nothing that could be stored for its users. */
	if (c->reset && c->q->klass == CLASS_SYSTEM)
		return fault_set(c->fault, E_VALUE,
		                 "default_kernel has no default, set it instead");
	if (c->reset || c->value->len == 0)
		return true;
	files = strchr(c->value->data, '/') ? NULL : kernel_files(c->value->data);
	if (!files)
		return fault_set(c->fault, E_PROPERTY_VALUE, "Kernel '%.200s' not installed",
		                 c->value->data);
	if (!strstr(files, "vmlinuz"))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "Kernel '%.200s' not properly installed: missing 'vmlinuz' file",
		                 c->value->data);
	return true;
}

CHECKER(kernelopts)
{
	if (c->value->len > KERNELOPTS_MAX)
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "Kernelopts value too long (512 chars max)");
	return true;
}

CHECKER(keyboard_layout)
{
	AUTO_TEXT copy = {0};
	char *at, *layout, *variant, *options;

	text_puts(&copy, c->value->data);
	at = copy.data;
	layout = strsep(&at, "+");
	variant = at ? strsep(&at, "+") : NULL;
	options = at;
	if (!variant || !options || !layout[0] || !request_safe(layout, SET_LETTERS) ||
	    !request_safe(variant, SET_LETTERS SET_DIGITS "-_") ||
	    !request_safe(options, SET_LETTERS SET_DIGITS "-_:,"))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "Invalid keyboard layout string: %.200s", c->value->data);
	return true;
}

CHECKER(mac)
{
	char *p = c->value->data;
	size_t i;

	for (i = 0; i < c->value->len; i++) {
		if (i % 3 == 2 ? p[i] != ':' : !isxdigit((unsigned char)p[i]))
			break;
		p[i] = (char)tolower((unsigned char)p[i]);
	}
	if (i != c->value->len || i != 17)
		return fault_set(c->fault, E_PROPERTY_VALUE, "Invalid MAC address: '%.100s'",
		                 c->value->data);
	return true;
}

CHECKER(positive)
{
	if (c->number <= 0)
		return fault_set(c->fault, E_PROPERTY_VALUE, "%s must be positive", c->p->name);
	return true;
}

CHECKER(maxmem)
{
	if (c->number < 0)
		return fault_set(c->fault, E_PROPERTY_VALUE, "maxmem must be positive or zero");
	return true;
}

ALLOWER(maxmem)
{
	if (qube_active(c->q) && !text_equal(c->old, c->value->data))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "maxmem cannot be changed while the qube %s is running",
		                 c->q->name);
	return true;
}

CHECKER(netvm)
{
	if (c->ref && !property_bool(c->ref, PROP_PROVIDES_NETWORK))
		return fault_set(c->fault, E_VALUE, "The %s qube does not provide network",
		                 c->ref->name);
	if (c->ref && network_loop(c->q, c->ref))
		return fault_set(c->fault, E_VALUE, "Loops in network are unsupported");
	return true;
}

/* A running qube can only be connected to one that runs. */
static bool can_attach(const struct qube *q, const struct qube *netvm, struct fault *f)
{
	if (!qube_active(q) || !netvm || qube_active(netvm))
		return true;
	return fault_set(f, E_NOT_STARTED, "Cannot dynamically attach to stopped qube %s",
	                 netvm->name);
}

ALLOWER(netvm)
{
	struct qube *old = c->old && c->old[0] ? qube_by_name(c->old) : NULL;

	if (c->reset && old == c->ref)
		return true;
	/* The reset of a netvm is announced as what it means. */
	if (c->reset)
		event_fire(c->q, "property-pre-set:netvm", "name", "netvm", "newvalue",
		           c->ref ? c->ref->name : "None", "oldvalue", old ? old->name : "None",
		           NULL);
	if (!can_attach(c->q, c->ref, c->fault))
		return false;
	if (c->q->run.state == STATE_PAUSED && old != c->ref)
		network_defer(c->q, old);
	return true;
}

CHECKER(default_netvm)
{
	size_t i;

	for (i = 0; c->ref && i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (property_has(q, PROP_NETVM) && q->klass != CLASS_TEMPLATE &&
		    property_is_default(q, PROP_NETVM) && network_loop(q, c->ref))
			return fault_set(c->fault, E_VALUE, "Loops in network are unsupported");
	}
	return true;
}

ALLOWER(default_netvm)
{
	const char *new = c->ref ? c->ref->name : "None";
	struct qube *old = c->old && c->old[0] ? qube_by_name(c->old) : NULL;
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (!property_has(q, PROP_NETVM) || !property_is_default(q, PROP_NETVM))
			continue;
		event_fire(q, "property-pre-set:netvm", "name", "netvm", "newvalue", new,
		           "oldvalue", old ? old->name : NULL, NULL);
		if (!can_attach(q, c->ref, c->fault))
			return false;
		if (q->run.state == STATE_PAUSED && q->klass != CLASS_TEMPLATE && old != c->ref)
			network_defer(q, old);
	}
	return true;
}

CHECKER(dispvm_template)
{
	if (!c->ref || property_bool(c->ref, PROP_TEMPLATE_FOR_DISPVMS))
		return true;
	if (c->q->klass == CLASS_SYSTEM)
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "Cannot set invalid property to system, %s '%s' has "
		                 "template_for_dispvms set to False",
		                 c->p->name, c->ref->name);
	return fault_set(
	        c->fault, E_PROPERTY_VALUE,
	        "Cannot set invalid property to qube '%s', %s '%s' has template_for_dispvms "
	        "set to False",
	        c->q->name, c->p->name, c->ref->name);
}

CHECKER(template)
{
	if (c->q->klass == CLASS_DISP) {
		if (c->ref && property_bool(c->ref, PROP_TEMPLATE_FOR_DISPVMS) &&
		    c->ref->klass == CLASS_APP)
			return true;
		return fault_set(c->fault, E_VALUE,
		                 "template for disposable (%s) needs to be an AppVM with "
		                 "template_for_dispvms=True",
		                 c->ref ? c->ref->name : "None");
	}
	if (!c->ref)
		return fault_set(c->fault, E_PROPERTY_VALUE, "Cannot set template to none");
	if (c->ref->klass != CLASS_TEMPLATE)
		return fault_set(c->fault, E_PROPERTY_VALUE, WRONG_CLASS, c->ref->name,
		                 class_name(c->ref->klass), class_name(CLASS_TEMPLATE));
	return true;
}

CHECKER(default_template)
{
	if (c->ref && c->ref->klass != CLASS_TEMPLATE)
		return fault_set(c->fault, E_PROPERTY_VALUE, WRONG_CLASS, c->ref->name,
		                 class_name(c->ref->klass), class_name(CLASS_TEMPLATE));
	return true;
}

ALLOWER(template)
{
	AUTO_TEXT now = {0};
	size_t i;

	if (c->reset) {
		property_read(world.system, SYS_DEFAULT_TEMPLATE, &now);
		if (c->q->klass == CLASS_DISP) {
			text_clear(&now);
			property_read(world.system, SYS_DEFAULT_DISPVM, &now);
		}
		return fault_set(
		        c->fault, E_VALUE,
		        "Cannot unset template. You can set it to the current default (%s) "
		        "instead",
		        now.len ? text_get(&now) : "None");
	}
	if (c->q->run.state != STATE_HALTED)
		return fault_set(c->fault, E_NOT_HALTED,
		                 "Cannot change template while qube is running");
	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (q->klass == CLASS_DISP && property_qube(q, PROP_TEMPLATE) == c->q &&
		    qube_active(q))
			return fault_set(
			        c->fault, E_NOT_HALTED,
			        "Cannot change template while there are running DispVMs based "
			        "on this DVM template");
	}
	return true;
}

struct users {
	struct text system;
	struct text qubes;
};

static void add_user(void *arg, struct qube *user, const struct property *p)
{
	struct users *u = arg;
	struct text *t = user->klass == CLASS_SYSTEM ? &u->system : &u->qubes;
	bool template = p->id == PROP_TEMPLATE && user->klass == CLASS_DISP;

	if (!template && strcmp(p->name, "default_dispvm") != 0 &&
	    strcmp(p->name, "management_dispvm") != 0)
		return;
	text_puts(t, t->len ? ", " : "");
	text_puts(t, user->klass == CLASS_SYSTEM ? p->name : user->name);
}

ALLOWER(template_for_dispvms)
{
	struct users u = {0};

	if (c->truth)
		return true;
	property_users(c->q, add_user, &u);
	/* The original names both as soon as one of them is in use. */
	if (u.system.len)
		fault_set(c->fault, E_IN_USE,
		          "Cannot change template_for_dispvms to False while it is in use by the "
		          "system "
		          "by any of these properties: default_dispvm, management_dispvm");
	else if (u.qubes.len)
		fault_set(c->fault, E_IN_USE,
		          "Cannot change template_for_dispvms to False while there are qubes using "
		          "it: "
		          "%s",
		          text_get(&u.qubes));
	text_free(&u.system);
	text_free(&u.qubes);
	return !c->fault->type;
}

static void add_client(void *arg, struct qube *client)
{
	struct text *t = arg;

	text_puts(t, t->len ? ", " : "");
	text_puts(t, client->name);
}

CHECKER(provides_network)
{
	AUTO_TEXT clients = {0};

	if (c->truth)
		return true;
	network_clients(c->q, add_client, &clients);
	if (clients.len)
		return fault_set(
		        c->fault, E_VALUE,
		        "The qube is still used by other qubes, change theirs 'netvm' first");
	return true;
}

ALLOWER(provides_network)
{
	return !c->reset || check_provides_network(c);
}

CHECKER(virt_mode)
{
	char *p;

	for (p = c->value->data; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!text_equal(c->value->data, "pv") && !text_equal(c->value->data, "pvh") &&
	    !text_equal(c->value->data, "hvm"))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "Invalid virtualization mode, supported values: hvm, pv, pvh");
	if (text_equal(c->value->data, "pvh") && pci_assigned(c->q))
		return fault_set(c->fault, E_PROPERTY_VALUE,
		                 "pvh mode can't be set if pci devices are assigned");
	return true;
}

CHECKER(pool)
{
	if (!pool_by_name(c->value->data))
		return fault_set(c->fault, E_PROPERTY_VALUE, "No such storage pool");
	return true;
}
