/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qubes in memory: look-ups. How they change: rows.c. */
#include "services/admin/model.h"

#include <stdlib.h>
#include <string.h>

#include "services/admin/model_internal.h"

struct world world;

static struct qube *by_name[INDEX_SIZE], *by_uuid[INDEX_SIZE];

static const char *const class_names[CLASS_COUNT] = {
        [CLASS_SYSTEM] = "Qubes",        [CLASS_ADMIN] = "AdminVM",
        [CLASS_TEMPLATE] = "TemplateVM", [CLASS_STANDALONE] = "StandaloneVM",
        [CLASS_APP] = "AppVM",           [CLASS_DISP] = "DispVM",
        [CLASS_REMOTE] = "RemoteVM",
};

/* FNV-1a. Names come from tools that policy let through, at most QUBES_MAX of them. */
static size_t slot(const char *key)
{
	uint32_t h = 2166136261U;

	for (; *key; key++)
		h = (h ^ (uint8_t)*key) * 16777619U;
	return h % INDEX_SIZE;
}

void index_add(struct qube *q)
{
	struct qube **name = &by_name[slot(q->name)], **uuid = &by_uuid[slot(q->uuid)];

	q->next_by_name = *name;
	*name = q;
	q->next_by_uuid = *uuid;
	*uuid = q;
}

void index_remove(struct qube *q)
{
	struct qube **p;

	for (p = &by_name[slot(q->name)]; *p; p = &(*p)->next_by_name)
		if (*p == q) {
			*p = q->next_by_name;
			break;
		}
	for (p = &by_uuid[slot(q->uuid)]; *p; p = &(*p)->next_by_uuid)
		if (*p == q) {
			*p = q->next_by_uuid;
			break;
		}
}

struct qube *qube_by_name(const char *name)
{
	struct qube *q;

	for (q = by_name[slot(name)]; q; q = q->next_by_name)
		if (strcmp(q->name, name) == 0)
			return q;
	return NULL;
}

struct qube *qube_by_uuid(const char *uuid)
{
	struct qube *q;

	for (q = by_uuid[slot(uuid)]; q; q = q->next_by_uuid)
		if (strcmp(q->uuid, uuid) == 0)
			return q;
	return NULL;
}

struct qube *qube_by_domid(uint32_t domid)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (domid && world.qubes[i]->run.domid == domid)
			return world.qubes[i];
	return NULL;
}

struct qube *qube_by_qid(uint32_t qid)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->qid == qid)
			return world.qubes[i];
	return NULL;
}

struct label *label_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < world.n_labels; i++)
		if (strcmp(world.labels[i]->name, name) == 0)
			return world.labels[i];
	return NULL;
}

struct label *label_by_index(uint32_t index)
{
	size_t i;

	for (i = 0; i < world.n_labels; i++)
		if (world.labels[i]->index == index)
			return world.labels[i];
	return NULL;
}

struct pool *pool_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < world.n_pools; i++)
		if (strcmp(world.pools[i]->name, name) == 0)
			return world.pools[i];
	return NULL;
}

struct volume *volume_by_name(const struct qube *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->n_volumes; i++)
		if (strcmp(q->volumes[i]->name, name) == 0)
			return q->volumes[i];
	return NULL;
}

const char *kept_get(const char *name)
{
	return pairs_get(world.kept, world.n_kept, name);
}

const char *feature_get(const struct qube *q, const char *name)
{
	return pairs_get(q->features, q->n_features, name);
}

bool tag_has(const struct qube *q, const char *tag)
{
	size_t low = 0, high = q->n_tags;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(q->tags[mid], tag);

		if (order == 0)
			return true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

const char *class_name(enum qube_class klass)
{
	return class_names[klass];
}

enum qube_class class_by_name(const char *name)
{
	enum qube_class c;

	for (c = CLASS_ADMIN; c < CLASS_COUNT; c++)
		if (strcmp(class_names[c], name) == 0)
			return c;
	return CLASS_COUNT;
}

const char *state_name(const struct qube *q)
{
	static const char *const names[] = {
	        [STATE_HALTED] = "Halted",   [STATE_RUNNING] = "Running",
	        [STATE_PAUSED] = "Paused",   [STATE_SUSPENDED] = "Suspended",
	        [STATE_HALTING] = "Halting", [STATE_DYING] = "Dying",
	        [STATE_CRASHED] = "Crashed",
	};

	if (q->klass == CLASS_ADMIN || q->klass == CLASS_REMOTE)
		return "Running";
	if (q->run.state == STATE_RUNNING && !q->run.qrexec &&
	    feature_true(feature_with_template(q, "qrexec")))
		return "Transient";
	return names[q->run.state];
}

bool qube_active(const struct qube *q)
{
	return q->klass == CLASS_ADMIN || q->klass == CLASS_REMOTE ||
	       (q->run.state != STATE_HALTED && q->run.state != STATE_DYING &&
	        q->run.state != STATE_CRASHED);
}

bool qube_is_local(const struct qube *q)
{
	return q->klass != CLASS_REMOTE && q->klass != CLASS_SYSTEM;
}

struct qube *qube_hold(struct qube *q)
{
	if (q)
		q->refs++;
	return q;
}

struct qube *qube_release(struct qube *q)
{
	if (q && --q->refs == 0 && q->gone)
		qube_free(q);
	return NULL;
}
