/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of names with values, and the texts of rows made of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/model_internal.h"

static const char *const mode_names[] = {
        [MODE_MANUAL] = "manual",
        [MODE_ASK] = "ask-to-attach",
        [MODE_AUTO] = "auto-attach",
        [MODE_REQUIRED] = "required",
};

static struct pair *find(const struct pair *pairs, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return (struct pair *)(uintptr_t)&pairs[i];
	return NULL;
}

const char *pairs_get(const struct pair *pairs, size_t n, const char *name)
{
	const struct pair *p = find(pairs, n, name);

	return p ? p->value : NULL;
}

void pairs_set(struct pair **pairs, size_t *n, const char *name, const char *value)
{
	struct pair *p = find(*pairs, *n, name);
	char *copy = memory_text(value);

	if (p) {
		free(p->value);
		p->value = copy;
		return;
	}
	*pairs = memory_resize(*pairs, *n + 1, sizeof(**pairs));
	(*pairs)[*n] = (struct pair){.name = memory_text(name), .value = copy};
	(*n)++;
}

bool pairs_drop(struct pair **pairs, size_t *n, const char *name)
{
	struct pair *p = find(*pairs, *n, name);

	if (!p)
		return false;
	free(p->name);
	free(p->value);
	memmove(p, p + 1, (size_t)(*pairs + *n - p - 1) * sizeof(*p));
	(*n)--;
	return true;
}

void pairs_free(struct pair **pairs, size_t *n)
{
	size_t i;

	for (i = 0; i < *n; i++) {
		free((*pairs)[i].name);
		free((*pairs)[i].value);
	}
	free(*pairs);
	*pairs = NULL;
	*n = 0;
}

void pairs_parse(const char *text, struct pair **pairs, size_t *n)
{
	char *copy = memory_text(text), *at = copy, *line;

	while ((line = strsep(&at, "\n"))) {
		char *equals = strchr(line, '=');

		if (!equals)
			continue;
		*equals = 0;
		pairs_set(pairs, n, line, equals + 1);
	}
	free(copy);
}

void pairs_print(struct text *t, const struct pair *pairs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		text_printf(t, "%s=%s\n", pairs[i].name, pairs[i].value);
}

static const char *truth(bool b)
{
	return b ? "True" : "False";
}

void volume_row(const struct volume *v, struct text *out)
{
	text_printf(out,
	            "pool=%s\nvid=%s\nsource=%s\nsize=%" PRIu64 "\nrevisions_to_keep=%" PRId64 "\n",
	            v->pool, v->vid, v->source, v->size, v->revisions_to_keep);
	text_printf(out, "rw=%s\nsave_on_stop=%s\nsnap_on_start=%s\nephemeral=%s\n", truth(v->rw),
	            truth(v->save_on_stop), truth(v->snap_on_start), truth(v->ephemeral));
}

void assignment_key(const struct assignment *a, struct text *out)
{
	text_printf(out, "%s %s:%s:%s", a->devclass, a->backend, a->port, a->identity);
}

void assignment_row(const struct assignment *a, struct text *out)
{
	size_t i;

	text_printf(out, "mode=%s\n", mode_name(a->mode));
	for (i = 0; i < a->n_options; i++)
		text_printf(out, "_%s=%s\n", a->options[i].name, a->options[i].value);
}

struct assignment *assignment_free(struct assignment *a)
{
	if (!a)
		return NULL;
	free(a->devclass);
	free(a->backend);
	free(a->port);
	free(a->identity);
	pairs_free(&a->options, &a->n_options);
	free(a);
	return NULL;
}

struct assignment *assignment_copy(const struct assignment *a)
{
	struct assignment *copy = memory_get(sizeof(*copy));
	size_t i;

	copy->devclass = memory_text(a->devclass);
	copy->backend = memory_text(a->backend);
	copy->port = memory_text(a->port);
	copy->identity = memory_text(a->identity);
	copy->mode = a->mode;
	for (i = 0; i < a->n_options; i++)
		pairs_set(&copy->options, &copy->n_options, a->options[i].name,
		          a->options[i].value);
	return copy;
}

/* CLASS BACKEND:PORT:IDENTITY; the identity may hold colons. */
static struct assignment *assignment_from(const char *key)
{
	struct assignment *a;
	char *copy = memory_text(key), *at = copy;
	const char *devclass = strsep(&at, " "), *backend = strsep(&at, ":"),
	           *port = strsep(&at, ":");

	if (!at) {
		free(copy);
		return NULL;
	}
	a = memory_get(sizeof(*a));
	a->devclass = memory_text(devclass);
	a->backend = memory_text(backend);
	a->port = memory_text(port);
	a->identity = memory_text(at);
	free(copy);
	return a;
}

struct assignment *assignment_parse(const char *key, const char *value)
{
	struct assignment *a = assignment_from(key);
	struct pair *p = NULL;
	size_t n = 0, i;
	int mode = -1;

	if (!a)
		return NULL;
	pairs_parse(value, &p, &n);
	for (i = 0; i < n; i++)
		if (p[i].name[0] == '_')
			pairs_set(&a->options, &a->n_options, p[i].name + 1, p[i].value);
		else if (strcmp(p[i].name, "mode") == 0)
			mode = mode_by_name(p[i].value);
	a->mode = mode < 0 ? MODE_REQUIRED : (enum assignment_mode)mode;
	pairs_free(&p, &n);
	return a;
}

const char *mode_name(enum assignment_mode mode)
{
	return mode_names[mode];
}

int mode_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(mode_names); i++)
		if (strcmp(mode_names[i], name) == 0)
			return (int)i;
	return -1;
}
