/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/backup/restore_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/backup/format.h"
#include "services/backup/xml.h"

struct reading {
	struct plan *plan;
	struct plan_qube *now; /* the domain that is being read; NULL: none */
	char key[256];
	enum { NOTHING, PROPERTY, FEATURE, OPTION, LABEL } what;
	char devclass[32];
	struct plan_device *device; /* whose options are read; NULL: none */
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

static char *attr_copy(const struct xml_element *e, const char *name)
{
	const char *value = xml_attr(e, name);

	return strdup(value ? value : "");
}

/* In <devices class="C">. */
static int begin_device(struct reading *g, const struct xml_element *e)
{
	struct plan_qube *q = g->now;
	struct plan_device *grown, *d;

	if (q->n_devices >= PLAN_PAIRS_MAX)
		return -1;
	grown = realloc(q->devices, (q->n_devices + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	q->devices = grown;
	d = g->device = &grown[q->n_devices++];
	*d = (struct plan_device){.class = strdup(g->devclass),
	                          .backend = attr_copy(e, "backend-domain"),
	                          .port = attr_copy(e, "id"),
	                          .identity = attr_copy(e, "identity"),
	                          .mode = attr_copy(e, "mode")};
	return d->class && d->backend && d->port && d->identity && d->mode ? 0 : -1;
}

static void begin_devices(struct reading *g, const struct xml_element *e)
{
	const char *class = xml_attr(e, "class");

	g->devclass[0] = '\0';
	if (class && strlen(class) < sizeof(g->devclass))
		memcpy(g->devclass, class, strlen(class) + 1);
}

static int begin_volume(struct reading *g, const struct xml_element *e, const char *name)
{
	bool known = strcmp(name, "root") == 0 || strcmp(name, "private") == 0;
	const char *pool = xml_attr(e, "pool"), *snap = xml_attr(e, "snap_on_start"),
	           *keep = xml_attr(e, "revisions_to_keep");

	/* A snapshot goes where its source is. */
	if (!known || !pool || !snap || strcmp(snap, "True") == 0)
		return 0;
	return pairs_add(&g->now->pools, name, pool) ||
	                       (keep && pairs_add(&g->now->revisions, name, keep))
	               ? -1
	               : 0;
}

static void begin_label(struct reading *g, const struct xml_element *e)
{
	const char *color = xml_attr(e, "color");

	if (color && strlen(color) < sizeof(g->key)) {
		memcpy(g->key, color, strlen(color) + 1);
		g->what = LABEL;
	}
}

static int begin(void *arg, const struct xml_element *e)
{
	struct reading *g = arg;
	const char *name = xml_attr(e, "name");

	g->what = NOTHING;
	if (strcmp(e->name, "domain") == 0)
		return begin_domain(g, e);
	if (!g->now && strcmp(e->name, "label") == 0)
		begin_label(g, e);
	if (g->now && strcmp(e->name, "devices") == 0)
		begin_devices(g, e);
	if (g->now && strcmp(e->name, "device") == 0)
		return begin_device(g, e);
	if (!g->now || !name || strlen(name) >= sizeof(g->key))
		return 0;
	if (strcmp(e->name, "tag") == 0)
		return pairs_add(&g->now->tags, name, "");
	if (strcmp(e->name, "volume") == 0)
		return begin_volume(g, e, name);
	memcpy(g->key, name, strlen(name) + 1);
	if (strcmp(e->name, "property") == 0)
		g->what = PROPERTY;
	else if (strcmp(e->name, "feature") == 0)
		g->what = FEATURE;
	else if (strcmp(e->name, "option") == 0 && g->device)
		g->what = OPTION;
	return 0;
}

static int end(void *arg, const char *name, const char *text)
{
	struct reading *g = arg;
	int r = 0;

	if (strcmp(name, "domain") == 0)
		g->now = NULL;
	if (strcmp(name, "device") == 0)
		g->device = NULL;
	if (g->now && g->what == PROPERTY)
		r = pairs_add(&g->now->properties, g->key, text);
	else if (g->now && g->what == FEATURE)
		r = pairs_add(&g->now->features, g->key, text);
	else if (!g->now && g->what == LABEL)
		r = pairs_add(&g->plan->labels, text, g->key);
	else if (g->now && g->device && g->what == OPTION)
		r = pairs_add(&g->device->options, g->key, text);
	g->what = NOTHING;
	return r;
}

static void settle(struct plan_qube *q)
{
	const char *path = pairs_get(&q->features, "backup-path"),
	           *content = pairs_get(&q->features, "backup-content");

	q->content = content && content[0] && path && strlen(path) < sizeof(q->path) &&
	             (strncmp(path, "vm", 2) == 0 ||
	              strncmp(path, BACKUP_HOME_PREFIX, strlen(BACKUP_HOME_PREFIX)) == 0);
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

const char *plan_name(const struct plan_qube *q)
{
	const char *name = pairs_get(&q->properties, "name");

	return name ? name : strcmp(q->class, "AdminVM") == 0 ? "dom0" : "a qube without a name";
}

unsigned int plan_expected(const struct plan_qube *q)
{
	const char *files = pairs_get(&q->features, "backup-files");
	unsigned int expected = 0;

	if (strcmp(q->class, "AdminVM") == 0)
		return SEEN_HOME;
	if (strcmp(q->class, "AppVM") == 0 || strcmp(q->class, "TemplateVM") == 0 ||
	    strcmp(q->class, "StandaloneVM") == 0)
		expected |= SEEN_PRIVATE;
	/* An archive of another system does not say it. */
	if (files && strstr(files, "firewall.xml"))
		expected |= SEEN_FIREWALL;
	if (files && strstr(files, "notes.txt"))
		expected |= SEEN_NOTES;
	return expected;
}

/* Rules of a firewall.xml: <rule><properties><property name="K">V</property>… */
struct rules {
	FILE *out;
	char key[64];
	char *comment; /* goes to the end of its rule; NULL: none */
	size_t n;
};

static int rule_begin(void *arg, const struct xml_element *e)
{
	struct rules *r = arg;
	const char *name = xml_attr(e, "name");

	r->key[0] = '\0';
	if (strcmp(e->name, "property") == 0 && name && strlen(name) < sizeof(r->key))
		memcpy(r->key, name, strlen(name) + 1);
	if (strcmp(e->name, "rule") == 0)
		r->n = 0;
	return 0;
}

static int rule_end(void *arg, const char *name, const char *text)
{
	struct rules *r = arg;

	/* One word, and no other rule: the service checks the rest. */
	if (strcmp(name, "property") == 0 && r->key[0]) {
		bool comment = strcmp(r->key, "comment") == 0;

		if (strpbrk(text, comment ? "\n" : " \n"))
			return -1;
		if (!comment)
			return fprintf(r->out, "%s%s=%s", r->n++ ? " " : "", r->key, text) < 0;
		free(r->comment);
		r->comment = strdup(text);
		return r->comment ? 0 : -1;
	}
	if (strcmp(name, "rule") == 0) {
		if (r->comment && fprintf(r->out, " comment=%s", r->comment) < 0)
			return -1;
		free(r->comment);
		r->comment = NULL;
		return fputc('\n', r->out) == EOF;
	}
	return 0;
}

char *plan_firewall(const char *data, size_t len)
{
	char *text = NULL;
	size_t text_len = 0;
	struct rules r = {.out = open_memstream(&text, &text_len)};
	const struct xml_reader reader = {.begin = rule_begin, .end = rule_end, .arg = &r};
	int bad;

	if (!r.out)
		return NULL;
	bad = xml_read(data, len, &reader);
	free(r.comment);
	if (fclose(r.out) || bad) {
		free(text);
		return NULL;
	}
	return text;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		pairs_free(&p->list[i].properties);
		pairs_free(&p->list[i].features);
		pairs_free(&p->list[i].tags);
		pairs_free(&p->list[i].pools);
		pairs_free(&p->list[i].revisions);
		for (size_t k = 0; k < p->list[i].n_devices; k++) {
			struct plan_device *d = &p->list[i].devices[k];

			free(d->class);
			free(d->backend);
			free(d->port);
			free(d->identity);
			free(d->mode);
			pairs_free(&d->options);
		}
		free(p->list[i].devices);
	}
	free(p->list);
	pairs_free(&p->labels);
}
