/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the storage service does with all volumes of a qube. Contract: volumes.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "proto/monitor.h"
#include "services/admin/property.h"
#include "services/admin/storage_client.h"
#include "services/admin/volumes.h"
#include "services/admin/volumes_internal.h"

/* One question for each volume; the answer is given when all have come, with the first fault. */
struct round {
	struct qube *q; /* held; NULL for a list */
	enum storage_kind kind;
	unsigned int open;
	struct fault fault;
	volumes_done fn;
	void *arg;
};

struct one {
	struct round *round;
	char name[16]; /* of the volume: it may have gone meanwhile */
};

static struct round *round_new(struct qube *q, enum storage_kind kind, volumes_done fn, void *arg)
{
	struct round *r = memory_get(sizeof(*r));

	/* One for whoever asks the questions. */
	*r = (struct round){
	        .q = q ? qube_hold(q) : NULL, .kind = kind, .open = 1, .fn = fn, .arg = arg};
	return r;
}

static void round_less(struct round *r)
{
	if (--r->open > 0)
		return;
	if (r->fn)
		r->fn(r->arg, r->fault.type ? &r->fault : NULL);
	else if (r->fault.type)
		LOG("%s: %s", r->q ? r->q->name : "storage", r->fault.text);
	if (r->q)
		qube_release(r->q);
	free(r);
}

/* Where a started volume is; medium and kind of the ground are the same things. */
static void started(struct volume *v, const struct storage_answer *a)
{
	static const uint32_t kinds[STORAGE_MEDIUM_MAX + 1] = {
	        [STORAGE_MEDIUM_DIR] = MONITOR_VOLUME_DIR,
	        [STORAGE_MEDIUM_FILE] = MONITOR_VOLUME_FILE,
	        [STORAGE_MEDIUM_BLOCK] = MONITOR_VOLUME_BLOCK,
	        [STORAGE_MEDIUM_HOST] = MONITOR_VOLUME_HOST,
	};

	free(v->path);
	v->ground_kind = kinds[a->medium];
	v->path = memory_text(a->medium == STORAGE_MEDIUM_HOST || a->medium == STORAGE_MEDIUM_NONE
	                              ? ""
	                              : a->path);
	v->started_read_only = a->flags & STORAGE_F_READ_ONLY;
}

static void on_one(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct one *one = arg;
	struct round *r = one->round;
	struct volume *v = r->q ? volume_by_name(r->q, one->name) : NULL;

	if (a->kind == STORAGE_FAILED && !r->fault.type)
		storage_fault(a, &r->fault);
	else if (a->kind == STORAGE_FAILED)
		LOG("%s: %s", r->q ? r->q->name : "storage", a->text);
	if (a->kind == STORAGE_DONE && v && r->kind == STORAGE_START && storage_there())
		started(v, a);
	if (v && r->kind == STORAGE_STOP) {
		free(v->path);
		v->path = NULL;
		v->ground_kind = 0;
	}
	free(one);
	round_less(r);
}

static void ask_one(struct round *r, const char *name, struct storage_request *q)
{
	struct one *one = memory_get(sizeof(*one));

	*one = (struct one){.round = r};
	(void)bytes_copy_text(one->name, sizeof(one->name), name);
	r->open++;
	(void)storage_ask(q, on_one, one);
}

/* Every volume that has something to be asked about. */
static void ask_all(struct round *r, uint32_t flags)
{
	size_t i;

	for (i = 0; i < r->q->n_volumes; i++) {
		struct storage_request q;

		storage_of(r->q, r->q->volumes[i], r->kind, &q);
		/* A kernel that comes from the qube itself. */
		if (!q.vid[0])
			continue;
		if (text_equal(r->q->volumes[i]->name, "kernel") && r->kind == STORAGE_CREATE)
			continue;
		q.flags |= flags;
		ask_one(r, r->q->volumes[i]->name, &q);
	}
	round_less(r);
}

void volumes_create(struct qube *q, volumes_done fn, void *arg)
{
	ask_all(round_new(q, STORAGE_CREATE, fn, arg), 0);
}

void volumes_verify(struct qube *q, volumes_done fn, void *arg)
{
	ask_all(round_new(q, STORAGE_VERIFY, fn, arg), 0);
}

void volumes_start(struct qube *q, volumes_done fn, void *arg)
{
	ask_all(round_new(q, STORAGE_START, fn, arg), 0);
}

void volumes_stop(struct qube *q, volumes_done fn, void *arg)
{
	ask_all(round_new(q, STORAGE_STOP, fn, arg), 0);
}

void volumes_remove(const char *list, volumes_done fn, void *arg)
{
	struct round *r = round_new(NULL, STORAGE_REMOVE, fn, arg);

	while (*list) {
		struct storage_request q = {.kind = STORAGE_REMOVE,
		                            .flags = STORAGE_F_RW | STORAGE_F_SAVE};
		size_t pool = strcspn(list, " "), line = strcspn(list, "\n");

		if (pool < line && pool < sizeof(q.pool) && line - pool - 1 < sizeof(q.vid)) {
			memcpy(q.pool, list, pool);
			memcpy(q.vid, list + pool + 1, line - pool - 1);
			ask_one(r, "", &q);
		}
		list += line + (list[line] == '\n');
	}
	round_less(r);
}

/* What lies in a pool of kernels: those that qubes may be given. */
static void on_kernels(void *arg UNUSED, const struct storage_answer *a, const struct text *parts)
{
	const char *at = a->kind == STORAGE_FAILED || !parts->data ? "" : parts->data;

	if (a->kind == STORAGE_FAILED)
		LOG("kernels of qubes: %s", a->text);
	for (; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		char name[STORAGE_VID_LEN];

		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "\n"), at);
		if (!pairs_get(world.host.kernels, world.host.n_kernels, name))
			pairs_set(&world.host.kernels, &world.host.n_kernels, name, "vmlinuz");
	}
}

static void ask_kernels(const struct pool *p)
{
	struct storage_request q = {.kind = STORAGE_POOL_LIST};

	if (p && text_equal(p->driver, "linux-kernel") &&
	    bytes_copy_text(q.pool, sizeof(q.pool), p->name) == 0)
		(void)storage_ask(&q, on_kernels, NULL);
}

static void on_pool(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	char *name = arg;

	/* Its volumes cannot be used then, and everything else goes on. */
	if (a->kind == STORAGE_FAILED)
		LOG("pool %s cannot be used: %s", name, a->text);
	else
		ask_kernels(pool_by_name(name));
	free(name);
}

void volumes_tell(void)
{
	size_t i;

	for (i = 0; i < world.n_pools; i++) {
		if (storage_driver(world.pools[i]->driver) == STORAGE_DRIVER_NONE)
			LOG("pool %s: there is no driver %s here", world.pools[i]->name,
			    world.pools[i]->driver);
		else
			storage_setup(world.pools[i], on_pool, memory_text(world.pools[i]->name));
	}
	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (q->run.domid)
			ask_all(round_new(q, STORAGE_START, NULL, NULL), STORAGE_F_ADOPT);
		else
			ask_all(round_new(q, STORAGE_STOP, NULL, NULL), STORAGE_F_RECOVER);
	}
}
