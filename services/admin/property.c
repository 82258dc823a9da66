/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading and changing properties. Contract: property.h. */
#include "services/admin/property.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/request.h"
#include "services/admin/turn.h"

bool property_has(const struct qube *q, enum property_id id)
{
	const struct property *p;
	size_t n, i;

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (p[i].id == id && p[i].classes & CLASS_BIT(q->klass))
			return true;
	return false;
}

/* maxmem has two rows: the one for this class. */
static const struct property *row_for(const struct qube *q, enum property_id id)
{
	const struct property *p;
	size_t n, i;

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (p[i].id == id && p[i].classes & CLASS_BIT(q->klass))
			return &p[i];
	return NULL;
}

bool property_default(const struct qube *q, enum property_id id, struct text *out)
{
	const struct property *p = row_for(q, id);

	return p && p->fallback && !(p->flags & PROP_FIXED) && p->fallback(q, out);
}

bool property_read(const struct qube *q, enum property_id id, struct text *out)
{
	const struct property *p = row_for(q, id);

	if (!p)
		return false;
	if (q->values[id]) {
		text_puts(out, q->values[id]);
		return true;
	}
	return p->fallback && p->fallback(q, out);
}

long long property_int(const struct qube *q, enum property_id id)
{
	AUTO_TEXT t = {0};

	return property_read(q, id, &t) ? strtoll(text_get(&t), NULL, 10) : 0;
}

bool property_bool(const struct qube *q, enum property_id id)
{
	AUTO_TEXT t = {0};

	return property_read(q, id, &t) && text_equal(text_get(&t), "True");
}

struct qube *property_qube(const struct qube *q, enum property_id id)
{
	AUTO_TEXT t = {0};

	if (q->values[id])
		return q->values[id][0] ? qube_by_name(q->values[id]) : NULL;
	return property_read(q, id, &t) && t.len ? qube_by_name(text_get(&t)) : NULL;
}

/* Python's int(): spaces around, a sign, underscores between digits; the text without them. */
static bool parse_int(struct property_change *c, const char *s)
{
	AUTO_TEXT digits = {0};
	bool minus = false, digit = false;
	const char *end = s + strlen(s);

	while (*s && strchr(" \t\n\r\v\f", *s))
		s++;
	while (end > s && strchr(" \t\n\r\v\f", end[-1]))
		end--;
	if (s < end && (*s == '+' || *s == '-'))
		minus = *s++ == '-';
	for (; s < end; s++) {
		if (*s == '_' && digit && s + 1 < end && s[1] != '_') {
			digit = false;
			continue;
		}
		if (*s < '0' || *s > '9')
			return fault_set(c->fault, E_VALUE,
			                 "Failed to parse property value as int");
		digit = true;
		if (digits.len > 0 || *s != '0' || s + 1 == end)
			text_char(&digits, *s);
	}
	if (!digit || digits.len == 0)
		return fault_set(c->fault, E_VALUE, "Failed to parse property value as int");
	text_clear(c->value);
	if (minus && !text_equal(text_get(&digits), "0"))
		text_char(c->value, '-');
	text_puts(c->value, text_get(&digits));
	/* Larger than the machine can count: strtoll saturates, which every bound refuses or means. */
	c->number = strtoll(c->value->data, NULL, 10);
	return true;
}

static bool parse_bool(struct property_change *c, const char *s)
{
	int truth = request_bool(s);

	if (truth < 0)
		return fault_set(c->fault, E_VALUE, "Invalid literal for boolean property: '%s'",
		                 s);
	c->truth = truth;
	text_clear(c->value);
	text_puts(c->value, truth ? "True" : "False");
	return true;
}

static bool parse_label(struct property_change *c, const char *s)
{
	struct label *l = label_by_name(s);

	if (!l && s[0] && request_safe(s, SET_DIGITS) && strlen(s) < 9)
		l = label_by_index((uint32_t)strtoul(s, NULL, 10));
	if (!l && text_starts(s, "label-") && strlen(s) < 15 && request_safe(s + 6, SET_DIGITS))
		l = label_by_index((uint32_t)strtoul(s + 6, NULL, 10));
	if (!l)
		return fault_set(c->fault, E_LABEL_NOT_FOUND, "Label does not exist: %s", s);
	text_clear(c->value);
	text_puts(c->value, l->name);
	return true;
}

static bool parse_vm(struct property_change *c, const char *s)
{
	if (s[0] && !request_name_check(s, c->fault, E_VALUE))
		return false;
	c->ref = s[0] ? qube_by_name(s) : NULL;
	if (s[0] && !c->ref)
		return fault_set(c->fault, E_NOT_FOUND, "No such domain: '%s'", s);
	return true;
}

static bool parse_str(struct property_change *c, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((s[i] < 0x20 || s[i] > 0x7e) && !strchr("\t\n\v\f\r", s[i]))
			return fault_set(c->fault, E_VALUE, "Invalid characters in property value");
	return true;
}

static bool parse(struct property_change *c, const char *untrusted_value, size_t len)
{
	AUTO_TEXT copy = {0};
	const char *s;
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)untrusted_value[i] >= 0x80)
			return fault_set(c->fault, E_VALUE, "Non-ASCII bytes in property value");
	if (memchr(untrusted_value, 0, len))
		return fault_set(c->fault, E_VALUE, "Invalid characters in property value");
	text_add(&copy, untrusted_value, len);
	text_add(c->value, untrusted_value, len);
	s = text_get(&copy);
	switch (c->p->type) {
	case TYPE_INT:
		return parse_int(c, s);
	case TYPE_BOOL:
		return parse_bool(c, s);
	case TYPE_LABEL:
		return parse_str(c, s, len) && parse_label(c, s);
	case TYPE_VM:
		return parse_vm(c, s);
	case TYPE_STR:
		break;
	}
	return parse_str(c, s, len);
}

/* How a value stands in an event: None for no qube. */
static const char *shown(const struct property *p, const char *value)
{
	return p->type == TYPE_VM && value && !value[0] ? "None" : value;
}

static void fire(struct qube *q, const struct property *p, const char *what, const char *value,
                 const char *old)
{
	AUTO_TEXT name = {0};

	text_printf(&name, "property-%s:%s", what, p->name);
	event_fire(q, text_get(&name), "name", p->name, "newvalue", shown(p, value), "oldvalue",
	           shown(p, old), NULL);
}

/* A template's new value reaches those that use it by default, and theirs. */
static void tell_heirs(struct qube *template, const struct property *p)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (!property_has(q, PROP_TEMPLATE) || !property_is_default(q, p->id) ||
		    property_qube(q, PROP_TEMPLATE) != template)
			continue;
		property_changed(q, p->id);
		tell_heirs(q, p);
	}
}

static bool may_write(struct qube *q, const struct property *p, struct fault *f)
{
	bool fixed =
	        p->flags & (PROP_READ_ONLY) || (q->klass == CLASS_ADMIN && p->flags & PROP_FIXED);

	if (fixed)
		return fault_set(f, E_PROPERTY_VALUE, "property '%s' on %s instance cannot be set",
		                 p->name, class_name(q->klass));
	if (p->flags & PROP_ONCE)
		return fault_set(f, E_PROPERTY_VALUE,
		                 "property '%s' of %s is write-once and already set", p->name,
		                 q->name);
	return true;
}

bool property_set(struct qube *q, const struct property *p, const char *untrusted_value, size_t len,
                  struct fault *f)
{
	AUTO_TEXT value = {0};
	AUTO_TEXT old = {0};
	struct property_change c = {.q = q, .p = p, .value = &value, .fault = f};

	if (!may_write(q, p, f) || !parse(&c, untrusted_value, len))
		return false;
	text_puts(&value, "");
	if (p->check && !p->check(&c))
		return false;
	c.old = property_read(q, p->id, &old) ? text_get(&old) : NULL;
	fire(q, p, "pre-set", value.data, c.old);
	if (p->allow && !p->allow(&c))
		return false;
	row_set(ROW_PROPERTY, q, p->name, value.data);
	if (p->effect)
		p->effect(&c);
	if (p->flags & PROP_INHERITED)
		tell_heirs(q, p);
	fire(q, p, "set", value.data, c.old);
	return true;
}

/*
 * The order of events is the original's: pre-reset; the handlers of pre-del may announce the change
 * that follows (network: property-pre-set:netvm); then reset, del.
 */
bool property_reset(struct qube *q, const struct property *p, struct fault *f)
{
	AUTO_TEXT value = {0};
	AUTO_TEXT old = {0};
	struct property_change c = {.q = q, .p = p, .value = &value, .fault = f, .reset = true};
	bool has_default;

	if (!may_write(q, p, f))
		return false;
	c.old = property_read(q, p->id, &old) ? text_get(&old) : NULL;
	has_default = property_default(q, p->id, &value);
	if (p->type == TYPE_VM && value.len)
		c.ref = qube_by_name(text_get(&value));
	if (p->type == TYPE_BOOL)
		c.truth = text_equal(text_get(&value), "True");
	if (p->type == TYPE_INT)
		c.number = strtoll(text_get(&value), NULL, 10);
	fire(q, p, "pre-reset", NULL, c.old);
	if (p->allow && !p->allow(&c))
		return false;
	fire(q, p, "pre-del", NULL, c.old);
	if (q->values[p->id])
		row_set(ROW_PROPERTY, q, p->name, NULL);
	if (p->effect && has_default)
		p->effect(&c);
	if (p->flags & PROP_INHERITED)
		tell_heirs(q, p);
	fire(q, p, "reset", NULL, c.old);
	fire(q, p, "del", NULL, c.old);
	return true;
}

void property_store(struct qube *q, enum property_id id, const char *value)
{
	row_set(ROW_PROPERTY, q, property_of(id)->name, value);
}

void property_changed(struct qube *q, enum property_id id)
{
	const struct property *p = property_of(id);
	AUTO_TEXT name = {0};

	text_printf(&name, "property-reset:%s", p->name);
	event_fire(q, text_get(&name), "name", p->name, NULL);
}

static void users_of(struct qube *user, const struct qube *q,
                     void (*fn)(void *arg, struct qube *user, const struct property *p), void *arg)
{
	const struct property *p;
	size_t n, i;

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (p[i].type == TYPE_VM && p[i].classes & CLASS_BIT(user->klass) &&
		    user->values[p[i].id] && strcmp(user->values[p[i].id], q->name) == 0)
			fn(arg, user, &p[i]);
}

void property_users(const struct qube *q,
                    void (*fn)(void *arg, struct qube *user, const struct property *p), void *arg)
{
	size_t i;

	users_of(world.system, q, fn, arg);
	for (i = 0; i < world.n_qubes; i++)
		users_of(world.qubes[i], q, fn, arg);
}
