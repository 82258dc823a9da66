/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Features: admin.vm.feature.*. The rules of single features are in feature_check.c. */
#include "services/admin/feature_methods.h"

#include <string.h>

#include "services/admin/feature_effect.h"
#include "services/admin/network.h"
#include "services/admin/property.h"

#define NAME_SET   SET_LETTERS SET_DIGITS "_.-"
#define PROHIBITED "changing this feature is prohibited by qubes.ext.admin.AdminExtension"

const char *feature_with_template(const struct qube *q, const char *name)
{
	const char *value;

	for (; q; q = property_has(q, PROP_TEMPLATE) ? property_qube(q, PROP_TEMPLATE) : NULL) {
		value = feature_get(q, name);
		if (value)
			return value;
	}
	return NULL;
}

const char *feature_with_netvm(const struct qube *q, const char *name)
{
	const char *value;
	size_t depth;

	for (depth = 0; q && depth < QUBES_MAX; q = network_netvm(q), depth++) {
		value = feature_get(q, name);
		if (value)
			return value;
	}
	return NULL;
}

static void fire(struct qube *q, const char *what, const char *name, const char *value,
                 const char *old)
{
	AUTO_TEXT event = {0};

	text_printf(&event, "domain-feature-%s:%s", what, name);
	event_fire(q, text_get(&event), "feature", name, "value", value, "oldvalue", old, NULL);
}

static bool set(struct qube *q, const char *name, const char *value, struct fault *f)
{
	const char *is = feature_get(q, name);
	AUTO_TEXT old = {0};

	if (is)
		text_puts(&old, is);
	fire(q, "pre-set", name, value, is ? text_get(&old) : NULL);
	if (f && !feature_check(q, name, value, f))
		return false;
	if (!is && q->n_features >= FEATURES_MAX)
		return f ? fault_set(f, E_VALUE, "%s has as many features as a qube may have",
		                     q->name)
		         : false;
	row_set(ROW_FEATURE, q, name, value);
	if (!feature_effect(q, name, value, f))
		return false;
	fire(q, "set", name, value, is ? text_get(&old) : NULL);
	return true;
}

void feature_put(struct qube *q, const char *name, const char *value)
{
	/* Not checked: the service's own values are right, and a full table only loses this one. */
	(void)set(q, name, value, NULL);
}

void feature_drop(struct qube *q, const char *name)
{
	AUTO_TEXT copy = {0};

	text_puts(&copy, name);
	fire(q, "pre-delete", text_get(&copy), NULL, NULL);
	row_set(ROW_FEATURE, q, text_get(&copy), NULL);
	if (!feature_effect(q, text_get(&copy), NULL, NULL))
		return;
	fire(q, "delete", text_get(&copy), NULL, NULL);
}

static bool prohibited(struct call *c)
{
	static const char *const names[] = {"deferred-netvm-original", "preload-dispvm",
	                                    "preload-dispvm-completed",
	                                    "preload-dispvm-in-progress"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (text_equal(c->arg, names[i]))
			return !fault_set(&c->fault, E_DENIED, PROHIBITED);
	return false;
}

static bool check_name(struct call *c)
{
	if (!request_safe(c->arg, NAME_SET) || strlen(c->arg) > 255)
		return fault_set(&c->fault, E_PROTOCOL, "feature name contains illegal characters");
	return true;
}

static bool check_value(struct call *c)
{
	size_t i;

	for (i = 0; i < c->payload_len; i++)
		if ((unsigned char)c->payload[i] >= 0x80)
			return fault_set(&c->fault, E_PROTOCOL,
			                 "Feature value contains non-ASCII characters");
	for (i = 0; i < c->payload_len; i++)
		if (c->payload[i] < 0x20 || c->payload[i] > 0x7e)
			return fault_set(&c->fault, E_PROTOCOL,
			                 "%s value contains illegal characters", c->arg);
	return true;
}

void method_feature_list(struct call *c)
{
	size_t i;

	for (i = 0; i < c->dest->n_features; i++)
		text_printf(&c->reply, "%s\n", c->dest->features[i].name);
}

static void answer(struct call *c, const char *value)
{
	if (value)
		text_puts(&c->reply, value);
	else
		call_refuse(c, E_FEATURE_NOT_FOUND, "Feature not set for domain %s: %s",
		            c->dest->name, c->arg);
}

void method_feature_get(struct call *c)
{
	if (check_name(c))
		answer(c, feature_get(c->dest, c->arg));
}

void method_feature_check_template(struct call *c)
{
	if (check_name(c))
		answer(c, feature_with_template(c->dest, c->arg));
}

void method_feature_check_netvm(struct call *c)
{
	if (check_name(c))
		answer(c, feature_with_netvm(c->dest, c->arg));
}

static const char *of_dom0(const char *name)
{
	return feature_get(qube_by_name("dom0"), name);
}

void method_feature_check_admin(struct call *c)
{
	const char *value;

	if (!check_name(c))
		return;
	value = feature_get(c->dest, c->arg);
	answer(c, value ? value : of_dom0(c->arg));
}

void method_feature_check_template_admin(struct call *c)
{
	const char *value;

	if (!check_name(c))
		return;
	value = feature_with_template(c->dest, c->arg);
	answer(c, value ? value : of_dom0(c->arg));
}

void method_feature_set(struct call *c)
{
	if (!check_name(c) || !check_value(c) || prohibited(c))
		return;
	if (!set(c->dest, c->arg, c->payload, &c->fault))
		return;
	feature_settled(c->dest, c->arg);
}

void method_feature_remove(struct call *c)
{
	if (!check_name(c) || prohibited(c))
		return;
	if (!feature_get(c->dest, c->arg)) {
		fire(c->dest, "pre-delete", c->arg, NULL, NULL);
		answer(c, NULL);
		return;
	}
	feature_drop(c->dest, c->arg);
	feature_settled(c->dest, c->arg);
}
