/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/backup/restore_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/backup/xml.h"

struct reading {
	struct plan *plan;
	struct plan_qube *now; /* the domain that is being read; NULL: none */
	char key[256];
	enum { NOTHING, PROPERTY, FEATURE } what;
};

const char *pairs_get(const struct pairs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->list[i].name, name) == 0)
			return p->list[i].value;
	}
	return NULL;
}

static int pairs_add(struct pairs *p, const char *name, const char *value)
{
	struct pair *grown;

	if (p->n >= PLAN_PAIRS_MAX)
		return -1;
	grown = realloc(p->list, (p->n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	p->list = grown;
	grown[p->n] = (struct pair){strdup(name), strdup(value)};
	if (!grown[p->n].name || !grown[p->n].value)
		return -1;
	p->n++;
	return 0;
}

static void pairs_free(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	free(p->list);
}

static int begin_domain(struct reading *g, const struct xml_element *e)
{
	const char *class = xml_attr(e, "class");
	struct plan_qube *grown;

	if (!class || strlen(class) >= sizeof(grown->class) || g->plan->n >= PLAN_QUBES_MAX)
		return -1;
	grown = realloc(g->plan->list, (g->plan->n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	g->plan->list = grown;
	g->now = &grown[g->plan->n++];
	memset(g->now, 0, sizeof(*g->now));
	memcpy(g->now->class, class, strlen(class));
	return 0;
}

static int begin(void *arg, const struct xml_element *e)
{
	struct reading *g = arg;
	const char *name = xml_attr(e, "name");

	g->what = NOTHING;
	if (strcmp(e->name, "domain") == 0)
		return begin_domain(g, e);
	if (!g->now || !name || strlen(name) >= sizeof(g->key))
		return 0;
	if (strcmp(e->name, "tag") == 0)
		return pairs_add(&g->now->tags, name, "");
	if (strcmp(e->name, "volume") == 0) {
		bool known = strcmp(name, "root") == 0 || strcmp(name, "private") == 0;
		const char *pool = xml_attr(e, "pool"), *snap = xml_attr(e, "snap_on_start");

		/* A snapshot goes where its source is. */
		return known && pool && snap && strcmp(snap, "True") != 0
		               ? pairs_add(&g->now->pools, name, pool)
		               : 0;
	}
	memcpy(g->key, name, strlen(name) + 1);
	if (strcmp(e->name, "property") == 0)
		g->what = PROPERTY;
	else if (strcmp(e->name, "feature") == 0)
		g->what = FEATURE;
	return 0;
}

static int end(void *arg, const char *name, const char *text)
{
	struct reading *g = arg;
	int r = 0;

	if (strcmp(name, "domain") == 0)
		g->now = NULL;
	if (g->now && g->what == PROPERTY)
		r = pairs_add(&g->now->properties, g->key, text);
	else if (g->now && g->what == FEATURE)
		r = pairs_add(&g->now->features, g->key, text);
	g->what = NOTHING;
	return r;
}

static void settle(struct plan_qube *q)
{
	const char *path = pairs_get(&q->features, "backup-path"),
	           *content = pairs_get(&q->features, "backup-content");

	q->content = content && content[0] && path && strncmp(path, "vm", 2) == 0 &&
	             strlen(path) < sizeof(q->path);
	if (q->content)
		memcpy(q->path, path, strlen(path) + 1);
}

int plan_read(struct plan *p, const char *data, size_t len)
{
	struct reading g = {.plan = p};
	const struct xml_reader reader = {.begin = begin, .end = end, .arg = &g};

	*p = (struct plan){0};
	if (xml_read(data, len, &reader))
		return -1;
	for (size_t i = 0; i < p->n; i++)
		settle(&p->list[i]);
	return 0;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		pairs_free(&p->list[i].properties);
		pairs_free(&p->list[i].features);
		pairs_free(&p->list[i].tags);
		pairs_free(&p->list[i].pools);
	}
	free(p->list);
}
