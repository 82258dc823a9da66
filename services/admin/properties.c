/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods admin.vm.property.* and admin.property.*: the same, of a qube and of the system. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/methods.h"
#include "services/admin/property.h"

static const char *const type_names[] = {
        [TYPE_STR] = "str",     [TYPE_INT] = "int", [TYPE_BOOL] = "bool",
        [TYPE_LABEL] = "label", [TYPE_VM] = "vm",
};

static struct qube *holder(struct call *c)
{
	return text_starts(c->method->name, "admin.vm.") ? c->dest : world.system;
}

static const struct property *named(struct call *c)
{
	struct qube *q = holder(c);
	const struct property *p = property_by_name(q, c->arg);

	if (!p)
		call_refuse(c, E_NO_PROPERTY, "Invalid property '%.200s' of %s", c->arg,
		            q->klass == CLASS_SYSTEM ? "Qubes" : q->name);
	return p;
}

static int by_name(const void *a, const void *b)
{
	const struct property *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Rows of a class in the order of lists: the system's purely by name. */
static size_t rows_of(const struct qube *q, const struct property *rows[PROPERTY_COUNT])
{
	const struct property *p;
	size_t n, i, at = 0;

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (p[i].classes & CLASS_BIT(q->klass))
			rows[at++] = &p[i];
	if (q->klass == CLASS_SYSTEM)
		qsort(rows, at, sizeof(rows[0]), by_name);
	return at;
}

void method_property_list(struct call *c)
{
	const struct property *rows[PROPERTY_COUNT];
	size_t n = rows_of(holder(c), rows), i;

	for (i = 0; i < n; i++)
		text_printf(&c->reply, "%s\n", rows[i]->name);
}

/* name, uuid and qid of dom0 are given by its class; those of qubes were set. */
static bool is_default(const struct qube *q, const struct property *p)
{
	if (p->flags & PROP_FIXED)
		return q->klass == CLASS_ADMIN;
	return property_is_default(q, p->id);
}

static void print(struct text *out, const struct qube *q, const struct property *p,
                  struct text *value)
{
	text_clear(value);
	property_read(q, p->id, value);
	text_printf(out, "default=%s type=%s ", is_default(q, p) ? "True" : "False",
	            type_names[p->type]);
}

void method_property_get(struct call *c)
{
	const struct property *p = named(c);
	AUTO_TEXT value = {0};

	if (!p)
		return;
	print(&c->reply, holder(c), p, &value);
	text_puts(&c->reply, text_get(&value));
}

/* The line of a property; value: room for it. */
static void print_line(struct text *out, const struct qube *q, const struct property *p,
                       struct text *value)
{
	const char *s;

	text_puts(out, p->name);
	text_char(out, ' ');
	print(out, q, p, value);
	for (s = text_get(value); *s; s++) {
		if (*s == '\\')
			text_puts(out, "\\\\");
		else if (*s == '\n')
			text_puts(out, "\\n");
		else
			text_char(out, *s);
	}
	text_char(out, '\n');
}

void method_property_get_all(struct call *c)
{
	const struct property *rows[PROPERTY_COUNT];
	struct qube *q = holder(c);
	size_t n = rows_of(q, rows), i;
	AUTO_TEXT value = {0};

	for (i = 0; i < n; i++)
		print_line(&c->reply, q, rows[i], &value);
}

static bool among(const char *names, size_t len, const char *name)
{
	size_t name_len = strlen(name), at = 0;

	while (at < len) {
		const char *end = memchr(names + at, '\n', len - at);
		size_t line = end ? (size_t)(end - names) - at : len - at;

		if (line == name_len && memcmp(names + at, name, line) == 0)
			return true;
		at += line + 1;
	}
	return false;
}

/*
 * Ours, for listings: of every qube a line "@NAME" and the lines of GetAll for the properties that the
 * payload names. One request in the place of one a qube, each of which costs both sides eight system calls.
 */
void method_property_table(struct call *c)
{
	const struct property *p, *wanted[PROPERTY_COUNT];
	size_t n, n_wanted = 0, i, k;
	AUTO_TEXT value = {0};

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (among(c->payload, c->payload_len, p[i].name))
			wanted[n_wanted++] = &p[i];
	for (k = 0; k < world.n_qubes; k++) {
		const struct qube *q = world.qubes[k];

		text_printf(&c->reply, "@%s\n", q->name);
		for (i = 0; i < n_wanted; i++)
			if (wanted[i]->classes & CLASS_BIT(q->klass))
				print_line(&c->reply, q, wanted[i], &value);
	}
}

void method_property_get_default(struct call *c)
{
	const struct property *p = named(c);
	AUTO_TEXT value = {0};

	if (!p || !property_default(holder(c), p->id, &value))
		return;
	text_printf(&c->reply, "type=%s %s", type_names[p->type], text_get(&value));
}

void method_property_help(struct call *c)
{
	const struct property *p = named(c);

	if (p)
		text_puts(&c->reply, p->help);
}

void method_property_set(struct call *c)
{
	const struct property *p = named(c);

	if (p && !property_set(holder(c), p, c->payload, c->payload_len, &c->fault))
		return;
}

void method_property_reset(struct call *c)
{
	const struct property *p = named(c);

	if (p && !property_reset(holder(c), p, &c->fault))
		return;
}
