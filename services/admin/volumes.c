/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The volumes of qubes. Contract: volumes.h. */
#include "services/admin/volumes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/loop/loop.h"
#include "services/admin/property.h"
#include "services/admin/turn.h"

#define GIB (1ULL << 30)

/* What a volume is, by role and class: doc/protocol/core-model.md, Volumes. */
struct role {
	const char *name;
	uint64_t size;
	uint32_t own;  /* classes whose volume is an origin */
	uint32_t snap; /* classes whose volume is a snapshot of the template's */
	enum property_id pool;
};

#define BIT(c) CLASS_BIT(CLASS_##c)

static const struct role roles[] = {
        {"root", 10 * GIB, BIT(TEMPLATE) | BIT(STANDALONE), BIT(APP) | BIT(DISP),
         SYS_DEFAULT_POOL_ROOT},
        {"private", 2 * GIB, BIT(TEMPLATE) | BIT(STANDALONE) | BIT(APP), BIT(DISP),
         SYS_DEFAULT_POOL_PRIVATE},
        {"volatile", 10 * GIB, 0, 0, SYS_DEFAULT_POOL_VOLATILE},
        {"kernel", 0, 0, 0, SYS_DEFAULT_POOL_KERNEL},
};

static void default_pool(const struct role *role, struct text *out)
{
	property_read(world.system, role->pool, out);
}

/* The pool that was asked for a volume; NULL: none. */
static const char *wanted_pool(const struct role *role, const char *pool, const struct pair *pools,
                               size_t n_pools)
{
	const char *single = pairs_get(pools, n_pools, role->name);

	if (single)
		return single;
	return strcmp(role->name, "kernel") == 0 ? NULL : pool;
}

static int64_t pool_revisions(const char *pool)
{
	struct pool *p = pool_by_name(pool);
	const char *text = p ? pairs_get(p->config, p->n_config, "revisions_to_keep") : NULL;

	if (p && text_equal(p->driver, "linux-kernel"))
		return 0;
	return text ? strtoll(text, NULL, 10) : 1;
}

/* The volume that a snapshot is made from: of the nearest template that has its own. */
static const struct volume *origin_of(const struct qube *q, const char *name)
{
	const struct qube *at = property_qube(q, PROP_TEMPLATE);
	const struct volume *v;

	for (; at; at = property_has(at, PROP_TEMPLATE) ? property_qube(at, PROP_TEMPLATE) : NULL) {
		v = volume_by_name(at, name);
		if (v && !v->snap_on_start)
			return v;
	}
	return NULL;
}

/* @single: the pool was asked for this very volume */
static bool plan(struct qube *q, const struct role *role, const char *wanted, bool single,
                 struct fault *f)
{
	bool snap = role->snap & CLASS_BIT(q->klass);
	const struct volume *origin = snap ? origin_of(q, role->name) : NULL;
	const struct qube *template =
	        q->klass == CLASS_DISP ? property_qube(q, PROP_TEMPLATE) : NULL;
	const struct volume *like = template ? volume_by_name(template, role->name) : NULL;
	struct volume v = {.size = role->size, .rw = strcmp(role->name, "kernel") != 0};
	char none[] = "";
	AUTO_TEXT pool = {0};
	AUTO_TEXT vid = {0};
	AUTO_TEXT row = {0};

	if (wanted && !pool_by_name(wanted))
		return fault_set(f, E_QUBES, "Unknown storage pool %s", wanted);
	if (snap && single && origin && !text_equal(wanted, origin->pool))
		return fault_set(
		        f, E_QUBES,
		        "Snapshot volume %s must be in the same pool as its origin (%s volume "
		        "of template),cannot move to pool %s ",
		        role->name, role->name, wanted);
	if (snap && origin)
		text_puts(&pool, origin->pool);
	else if (wanted)
		text_puts(&pool, wanted);
	else if (like)
		text_puts(&pool, like->pool);
	else
		default_pool(role, &pool);
	if (!v.rw)
		property_read(q, PROP_KERNEL, &vid);
	else
		text_printf(&vid, "%s/%s/%s",
		            q->klass == CLASS_TEMPLATE ? "vm-templates" : "appvms", q->name,
		            role->name);
	text_puts(&pool, "");
	text_puts(&vid, "");
	v.pool = pool.data;
	v.vid = vid.data;
	v.source = origin ? origin->vid : none;
	v.save_on_stop = role->own & CLASS_BIT(q->klass);
	v.snap_on_start = snap;
	if (origin)
		v.size = origin->size;
	else if (q->klass == CLASS_DISP && strcmp(role->name, "volatile") == 0)
		v.size = 12 * GIB;
	if (like && v.rw)
		v.rw = like->rw;
	v.revisions_to_keep = v.rw ? pool_revisions(v.pool) : 0;
	volume_row(&v, &row);
	row_set(ROW_VOLUME, q, role->name, text_get(&row));
	return true;
}

bool volumes_plan(struct qube *q, const char *pool, const struct pair *pools, size_t n_pools,
                  struct fault *f)
{
	size_t i;

	if (q->klass == CLASS_REMOTE)
		return true;
	for (i = 0; i < ARRAY_LEN(roles); i++)
		if (!plan(q, &roles[i], wanted_pool(&roles[i], pool, pools, n_pools),
		          pairs_get(pools, n_pools, roles[i].name) != NULL, f))
			return false;
	return true;
}

void volumes_follow_template(struct qube *q)
{
	size_t i;

	for (i = 0; i < q->n_volumes; i++) {
		const struct volume *v = q->volumes[i], *origin = origin_of(q, v->name);
		struct volume next = *v;
		AUTO_TEXT row = {0};

		if (!v->snap_on_start || !origin)
			continue;
		next.source = origin->vid;
		next.pool = origin->pool;
		next.size = origin->size;
		volume_row(&next, &row);
		row_set(ROW_VOLUME, q, v->name, text_get(&row));
	}
}

void volumes_list(const struct qube *q, struct text *out)
{
	size_t i;

	for (i = 0; i < q->n_volumes; i++)
		if (q->volumes[i]->rw || q->volumes[i]->snap_on_start ||
		    q->volumes[i]->save_on_stop)
			text_printf(out, "%s %s\n", q->volumes[i]->pool, q->volumes[i]->vid);
}

bool volumes_in_pool(const char *pool)
{
	size_t i, k;

	for (i = 0; i < world.n_qubes; i++)
		for (k = 0; k < world.qubes[i]->n_volumes; k++)
			if (text_equal(world.qubes[i]->volumes[k]->pool, pool))
				return true;
	return false;
}
