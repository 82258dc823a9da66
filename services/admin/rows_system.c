/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows that belong to no qube: labels, pools, small facts. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/model_internal.h"

int row_label(struct qube *q, const char *name, const char *value, struct text *old)
{
	struct label *l = label_by_name(name);
	unsigned long index, colour;
	char *end;
	size_t at;

	if (l)
		text_printf(old, "%u 0x%06x", l->index, l->colour);
	for (at = 0; at < world.n_labels && world.labels[at] != l;)
		at++;
	if (l) {
		memmove(world.labels + at, world.labels + at + 1,
		        (world.n_labels - at - 1) * sizeof(*world.labels));
		world.n_labels--;
		free(l->name);
		free(l);
	}
	if (!value)
		return 0;
	index = strtoul(value, &end, 10);
	colour = strtoul(end, NULL, 16);
	if (index == 0 || index > UINT16_MAX || colour > 0xffffff || world.n_labels >= LABELS_MAX)
		return -1;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as many as are counted */
	for (at = 0; at < world.n_labels && world.labels[at]->index < index;)
		at++;
	world.labels = memory_resize(world.labels, world.n_labels + 1, sizeof(*world.labels));
	memmove(world.labels + at + 1, world.labels + at,
	        (world.n_labels - at) * sizeof(*world.labels));
	l = memory_get(sizeof(*l));
	*l = (struct label){.name = memory_text(name),
	                    .index = (uint32_t)index,
	                    .colour = (uint32_t)colour};
	world.labels[at] = l;
	world.n_labels++;
	return 0;
}

static void pool_config(struct pool *p, const char *value)
{
	const char *driver;

	pairs_free(&p->config, &p->n_config);
	pairs_parse(value, &p->config, &p->n_config);
	driver = pairs_get(p->config, p->n_config, "driver");
	slot_set(&p->driver, driver ? driver : "");
	pairs_drop(&p->config, &p->n_config, "driver");
}

void pool_row(const struct pool *p, struct text *out)
{
	text_printf(out, "driver=%s\n", p->driver);
	pairs_print(out, p->config, p->n_config);
}

int row_pool(struct qube *q, const char *name, const char *value, struct text *old)
{
	struct pool *p = pool_by_name(name);
	size_t at;

	if (p)
		pool_row(p, old);
	if (value && p) {
		pool_config(p, value);
		return 0;
	}
	for (at = 0; at < world.n_pools && world.pools[at] != p;)
		at++;
	if (!value && p) {
		memmove(world.pools + at, world.pools + at + 1,
		        (world.n_pools - at - 1) * sizeof(*world.pools));
		world.n_pools--;
		pairs_free(&p->config, &p->n_config);
		free(p->name);
		free(p->driver);
		free(p->included_in);
		free(p);
	}
	if (!value)
		return 0;
	if (world.n_pools >= POOLS_MAX)
		return -1;
	p = memory_get(sizeof(*p));
	p->name = memory_text(name);
	pool_config(p, value);
	world.pools = memory_resize(world.pools, world.n_pools + 1, sizeof(*world.pools));
	world.pools[world.n_pools++] = p;
	return 0;
}

int row_kept(struct qube *q, const char *name, const char *value, struct text *old)
{
	const char *is = kept_get(name);

	if (is)
		text_puts(old, is);
	if (value)
		pairs_set(&world.kept, &world.n_kept, name, value);
	else
		pairs_drop(&world.kept, &world.n_kept, name);
	return 0;
}
