/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows to memory and back. One function for each kind; the only place where what is stored changes in
 * memory. A row that makes no sense is logged and left out: the rest of the system goes on, and the
 * row stays in the store as it was.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/model_internal.h"
#include "services/admin/property.h"

#define ZERO_UUID "00000000-0000-0000-0000-000000000000"

typedef int (*apply_fn)(struct qube *q, const char *name, const char *value, struct text *old);

static int qube_order(const struct qube *q, const char *name)
{
	return q->klass == CLASS_ADMIN ? -1 : strcmp(q->name, name);
}

static size_t place_of(const char *name)
{
	size_t low = 0, high = world.n_qubes;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (qube_order(world.qubes[mid], name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct qube *add_qube(enum qube_class klass, const char *name, const char *uuid,
                             uint32_t qid)
{
	struct qube *q = memory_get(sizeof(*q));
	size_t at;

	q->klass = klass;
	q->qid = qid;
	q->values = memory_get(PROPERTY_COUNT * sizeof(*q->values));
	memcpy(q->name, name, strlen(name) + 1);
	memcpy(q->uuid, uuid, strlen(uuid) + 1);
	if (klass == CLASS_SYSTEM)
		return q;
	at = place_of(name);
	world.qubes = memory_resize(world.qubes, world.n_qubes + 1, sizeof(*world.qubes));
	memmove(world.qubes + at + 1, world.qubes + at,
	        (world.n_qubes - at) * sizeof(*world.qubes));
	world.qubes[at] = q;
	world.n_qubes++;
	index_add(q);
	return q;
}

static struct volume *volume_free(struct volume *v)
{
	free(v->pool);
	free(v->vid);
	free(v->source);
	free(v->path);
	free(v);
	return NULL;
}

void qube_free(struct qube *q)
{
	size_t i;

	for (i = 0; i < PROPERTY_COUNT; i++)
		free(q->values[i]);
	free(q->values);
	pairs_free(&q->features, &q->n_features);
	for (i = 0; i < q->n_tags; i++)
		free(q->tags[i]);
	free(q->tags);
	for (i = 0; i < q->n_volumes; i++)
		volume_free(q->volumes[i]);
	free(q->volumes);
	for (i = 0; i < q->n_assigned; i++)
		assignment_free(q->assigned[i]);
	free(q->assigned);
	for (i = 0; i < q->run.n_attached; i++)
		assignment_free(q->run.attached[i]);
	free(q->run.attached);
	free(q->run.devices);
	free(q->firewall);
	free(q->notes);
	free(q);
}

static void remove_qube(struct qube *q)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i] == q)
			break;
	memmove(world.qubes + i, world.qubes + i + 1,
	        (world.n_qubes - i - 1) * sizeof(*world.qubes));
	world.n_qubes--;
	index_remove(q);
	q->gone = true;
	if (q->refs == 0)
		qube_free(q);
}

static int apply_qube(const char *uuid, const char *name, const char *value, struct text *old)
{
	struct qube *q = qube_by_uuid(uuid);
	enum qube_class klass;
	const char *space;
	char text[32];
	unsigned long qid;

	if (q)
		text_printf(old, "%s %u", class_name(q->klass), q->qid);
	if (!value) {
		if (!q || q->klass == CLASS_ADMIN)
			return -1;
		remove_qube(q);
		return 0;
	}
	space = strchr(value, ' ');
	if (q || !space || (size_t)(space - value) >= sizeof(text) ||
	    strlen(uuid) != UUID_LEN - 1 || strlen(name) >= QUBE_NAME_LEN || !name[0] ||
	    qube_by_name(name))
		return -1;
	memcpy(text, value, (size_t)(space - value));
	text[space - value] = 0;
	klass = class_by_name(text);
	qid = strtoul(space + 1, NULL, 10);
	if (klass == CLASS_COUNT || klass == CLASS_ADMIN || qid == 0 || qid > QUBES_MAX)
		return -1;
	add_qube(klass, name, uuid, (uint32_t)qid);
	return 0;
}

static int apply_property(struct qube *q, const char *name, const char *value, struct text *old)
{
	const struct property *p = property_by_name(q, name);
	char **slot;

	if (!p || (p->flags & (PROP_READ_ONLY | PROP_FIXED)))
		return -1;
	slot = &q->values[p->id];
	if (*slot)
		text_puts(old, *slot);
	free(*slot);
	*slot = value ? memory_text(value) : NULL;
	return 0;
}

static int apply_feature(struct qube *q, const char *name, const char *value, struct text *old)
{
	const char *is = feature_get(q, name);

	if (is)
		text_puts(old, is);
	if (value && !is && q->n_features >= FEATURES_MAX)
		return -1;
	if (value)
		pairs_set(&q->features, &q->n_features, name, value);
	else
		pairs_drop(&q->features, &q->n_features, name);
	return 0;
}

static int apply_tag(struct qube *q, const char *name, const char *value, struct text *old)
{
	size_t at = 0;

	while (at < q->n_tags && strcmp(q->tags[at], name) < 0)
		at++;
	if (at < q->n_tags && strcmp(q->tags[at], name) == 0) {
		text_puts(old, "1");
		if (value)
			return 0;
		free(q->tags[at]);
		memmove(q->tags + at, q->tags + at + 1, (q->n_tags - at - 1) * sizeof(*q->tags));
		q->n_tags--;
		return 0;
	}
	if (!value)
		return 0;
	if (q->n_tags >= TAGS_MAX)
		return -1;
	q->tags = memory_resize(q->tags, q->n_tags + 1, sizeof(*q->tags));
	memmove(q->tags + at + 1, q->tags + at, (q->n_tags - at) * sizeof(*q->tags));
	q->tags[at] = memory_text(name);
	q->n_tags++;
	return 0;
}

void slot_set(char **slot, const char *value)
{
	char *copy = memory_text(value ? value : "");

	free(*slot);
	*slot = copy;
}

static void volume_from(struct volume *v, const char *value)
{
	struct pair *p = NULL;
	size_t n = 0;
	const char *text;

#define FIELD(key) ((text = pairs_get(p, n, key)) ? text : "")
	pairs_parse(value, &p, &n);
	slot_set(&v->pool, FIELD("pool"));
	slot_set(&v->vid, FIELD("vid"));
	slot_set(&v->source, FIELD("source"));
	v->size = strtoull(FIELD("size"), NULL, 10);
	v->revisions_to_keep = strtoll(FIELD("revisions_to_keep"), NULL, 10);
	v->rw = text_equal(FIELD("rw"), "True");
	v->save_on_stop = text_equal(FIELD("save_on_stop"), "True");
	v->snap_on_start = text_equal(FIELD("snap_on_start"), "True");
	v->ephemeral = text_equal(FIELD("ephemeral"), "True");
#undef FIELD
	pairs_free(&p, &n);
}

static int apply_volume(struct qube *q, const char *name, const char *value, struct text *old)
{
	struct volume *v = volume_by_name(q, name);
	size_t i;

	if (v)
		volume_row(v, old);
	if (!value) {
		for (i = 0; i < q->n_volumes && q->volumes[i] != v;)
			i++;
		if (!v)
			return 0;
		volume_free(v);
		memmove(q->volumes + i, q->volumes + i + 1,
		        (q->n_volumes - i - 1) * sizeof(*q->volumes));
		q->n_volumes--;
		return 0;
	}
	if (!v) {
		if (q->n_volumes >= VOLUMES_MAX || strlen(name) >= sizeof(v->name))
			return -1;
		v = memory_get(sizeof(*v));
		memcpy(v->name, name, strlen(name) + 1);
		q->volumes = memory_resize(q->volumes, q->n_volumes + 1, sizeof(*q->volumes));
		q->volumes[q->n_volumes++] = v;
	}
	volume_from(v, value);
	return 0;
}

static int apply_device(struct qube *q, const char *name, const char *value, struct text *old)
{
	struct assignment *a = NULL;
	AUTO_TEXT key = {0};
	size_t i;

	for (i = 0; i < q->n_assigned; i++) {
		text_clear(&key);
		assignment_key(q->assigned[i], &key);
		if (text_equal(text_get(&key), name))
			break;
	}
	if (i < q->n_assigned) {
		a = q->assigned[i];
		assignment_row(a, old);
		memmove(q->assigned + i, q->assigned + i + 1,
		        (q->n_assigned - i - 1) * sizeof(*q->assigned));
		q->n_assigned--;
		assignment_free(a);
	}
	if (!value)
		return 0;
	a = q->n_assigned < ASSIGNED_MAX ? assignment_parse(name, value) : NULL;
	if (!a)
		return -1;
	q->assigned = memory_resize(q->assigned, q->n_assigned + 1, sizeof(*q->assigned));
	memmove(q->assigned + i + 1, q->assigned + i, (q->n_assigned - i) * sizeof(*q->assigned));
	q->assigned[i] = a;
	q->n_assigned++;
	return 0;
}

static int apply_text(char **slot, const char *value, struct text *old)
{
	if (*slot)
		text_puts(old, *slot);
	free(*slot);
	*slot = value ? memory_text(value) : NULL;
	return 0;
}

static int apply_firewall(struct qube *q, const char *name, const char *value, struct text *old)
{
	return apply_text(&q->firewall, value, old);
}

static int apply_notes(struct qube *q, const char *name, const char *value, struct text *old)
{
	return apply_text(&q->notes, value, old);
}

static const apply_fn apply_functions[ROW_KINDS] = {
        [ROW_PROPERTY] = apply_property, [ROW_FEATURE] = apply_feature,
        [ROW_TAG] = apply_tag,           [ROW_VOLUME] = apply_volume,
        [ROW_DEVICE] = apply_device,     [ROW_FIREWALL] = apply_firewall,
        [ROW_NOTES] = apply_notes,       [ROW_LABEL] = row_label,
        [ROW_POOL] = row_pool,           [ROW_KEPT] = row_kept,
};

int row_apply(enum row_kind kind, const char *owner, const char *name, const char *value,
              char **ret_old)
{
	struct qube *q = owner[0] ? qube_by_uuid(owner) : world.system;
	AUTO_TEXT old = {0};
	int r = -1;

	if (kind == ROW_QUBE)
		r = apply_qube(owner, name, value, &old);
	else if (q && kind > ROW_QUBE && kind < ROW_KINDS)
		r = apply_functions[kind](q, name, value, &old);
	if (r) {
		LOG("a stored row makes no sense and is left out: kind %u, owner %s, %s", kind,
		    owner, name);
		return -1;
	}
	world.changes++;
	if (ret_old)
		*ret_old = old.data ? text_take(&old) : NULL;
	return 0;
}

/* The value of one row of a qube or of the system, printed to out; false: there is none. */
static bool print_row(const struct qube *q, enum row_kind kind, const char *name, struct text *out)
{
	const struct property *p;
	const char *value = NULL;
	const struct volume *v;
	AUTO_TEXT key = {0};
	size_t i;

	switch (kind) {
	case ROW_PROPERTY:
		p = property_by_name(q, name);
		value = p ? q->values[p->id] : NULL;
		break;
	case ROW_FEATURE:
		value = feature_get(q, name);
		break;
	case ROW_TAG:
		value = tag_has(q, name) ? "1" : NULL;
		break;
	case ROW_VOLUME:
		v = volume_by_name(q, name);
		if (v)
			volume_row(v, out);
		return v != NULL;
	case ROW_DEVICE:
		for (i = 0; i < q->n_assigned; i++) {
			text_clear(&key);
			assignment_key(q->assigned[i], &key);
			if (text_equal(text_get(&key), name)) {
				assignment_row(q->assigned[i], out);
				return true;
			}
		}
		return false;
	case ROW_FIREWALL:
		value = q->firewall;
		break;
	case ROW_NOTES:
		value = q->notes;
		break;
	case ROW_KEPT:
		value = kept_get(name);
		break;
	case ROW_QUBE:
	case ROW_LABEL:
	case ROW_POOL:
	case ROW_KINDS:
		return false;
	}
	if (value)
		text_puts(out, value);
	return value != NULL;
}

char *row_value(enum row_kind kind, const char *owner, const char *name)
{
	struct qube *q = owner[0] ? qube_by_uuid(owner) : world.system;
	struct label *l = kind == ROW_LABEL ? label_by_name(name) : NULL;
	struct pool *pool = kind == ROW_POOL ? pool_by_name(name) : NULL;
	AUTO_TEXT out = {0};
	bool there = false;

	if (kind == ROW_QUBE && q)
		text_printf(&out, "%s %u", class_name(q->klass), q->qid);
	else if (l)
		text_printf(&out, "%u 0x%06x", l->index, l->colour);
	else if (pool)
		pool_row(pool, &out);
	else
		there = q && print_row(q, kind, name, &out);
	return there || out.data ? text_take(&out) : NULL;
}

void row_visit(struct qube *q,
               void (*fn)(void *arg, enum row_kind kind, const char *owner, const char *name),
               void *arg)
{
	AUTO_TEXT key = {0};
	size_t i;

	for (i = q->n_assigned; i-- > 0;) {
		text_clear(&key);
		assignment_key(q->assigned[i], &key);
		fn(arg, ROW_DEVICE, q->uuid, text_get(&key));
	}
	for (i = q->n_volumes; i-- > 0;)
		fn(arg, ROW_VOLUME, q->uuid, q->volumes[i]->name);
	for (i = q->n_tags; i-- > 0;)
		fn(arg, ROW_TAG, q->uuid, q->tags[i]);
	for (i = q->n_features; i-- > 0;)
		fn(arg, ROW_FEATURE, q->uuid, q->features[i].name);
	if (q->firewall)
		fn(arg, ROW_FIREWALL, q->uuid, "");
	if (q->notes)
		fn(arg, ROW_NOTES, q->uuid, "");
	for (i = 0; i < PROPERTY_COUNT; i++)
		if (q->values[i])
			fn(arg, ROW_PROPERTY, q->uuid, property_of((enum property_id)i)->name);
	if (q->klass != CLASS_SYSTEM && q->klass != CLASS_ADMIN)
		fn(arg, ROW_QUBE, q->uuid, q->name);
}

void world_init(void)
{
	world.system = add_qube(CLASS_SYSTEM, "", "", 0);
	add_qube(CLASS_ADMIN, "dom0", ZERO_UUID, 0)->announced = true;
}
