/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_QUBES_H
#define TOOLS_CLIENT_QUBES_H

#include "tools/client/client.h"

/* The qubes that admin.vm.List names, and their properties as a listing gets them: one request a qube. */

struct property {
	const char *name, *type, *value; /* value with its escapes undone; "" for none */
	bool is_default;
};

struct properties {
	struct property *items; /* in the order of the server */
	size_t n;
};

struct qube {
	const char *name, *class, *state, *uuid;
	const char *properties; /* the lines of GetAll; NULL: not asked for yet */
	const char *some;       /* only these were asked for, a line each; NULL: all */
	bool refused;           /* GetAll was: properties are asked for one by one */
	const char *power;      /* of qube_current(); NULL before */
	long long memory_kib;
};

struct qubes {
	struct qube *items; /* by name, but for dom0: see qubes_load() */
	size_t n;
	struct admin_reply reply; /* of admin.vm.List; an error: there are none */
};

/** qubes_load() - asks for the list, sorted by name, dom0 among them */
struct qubes qubes_load(void);

/** qubes_find() - one by its name; NULL: there is none */
struct qube *qubes_find(const struct qubes *qubes, const char *name);

/** property_decode() - "default=True type=T VALUE"; false: it has another form */
bool property_decode(const char *text, struct property *ret);

/** properties_decode() - the lines of GetAll */
struct properties properties_decode(const char *text);

/** properties_find() - one by its name; NULL: the qube has no such property */
const struct property *properties_find(const struct properties *properties, const char *name);

/**
 * qube_properties_table() - of several qubes those of @names, a line each, in one request that only our
 * service knows (internal.vm.property.Table); false: it has to be asked for each
 */
bool qube_properties_table(struct qube **qubes, size_t n, const char *names);

/** qube_properties_load() - so, or all properties of each, on the way together */
void qube_properties_load(struct qube **qubes, size_t n, const char *names);

/** qube_properties_take() - those of a reply of GetAll; the reply must stay */
void qube_properties_take(struct qube *qube, const struct admin_reply *reply);

/** qube_property() - its value; what was not loaded is asked for by GetAll, once; NULL: none, or empty */
const char *qube_property(struct qube *qube, const char *name);

/** qube_take_current() - what a reply of admin.vm.CurrentState says */
void qube_take_current(struct qube *qube, const struct admin_reply *reply);

/** words_field() - the value of "KEY=VALUE" among the words of a line; NULL: it has none */
const char *words_field(const char *line, const char *key);

/** lines_field() - the value of a line "KEY=VALUE"; NULL: there is none */
const char *lines_field(const char *text, const char *key);

#endif
