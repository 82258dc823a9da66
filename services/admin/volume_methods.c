/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.vm.volume.*: what needs no copy of data. Imports and clones: volume_data.c. */
#include "services/admin/volume_methods.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/ground.h"
#include "services/admin/property.h"
#include "services/admin/volume_internal.h"

#define REVISION_SET SET_LETTERS SET_DIGITS ":-_."
#define RESIZE_MS    60000U /* qubes.ResizeDisk in a running qube; chosen */

struct volume *volume_named(struct call *c)
{
	struct volume *v = volume_by_name(c->dest, c->arg);

	if (!v)
		call_refuse(c, E_DENIED, "Argument not in '%s volumes'", c->dest->name);
	return v;
}

void volume_change(struct qube *q, const struct volume *v)
{
	AUTO_TEXT row = {0};

	volume_row(v, &row);
	row_set(ROW_VOLUME, q, v->name, text_get(&row));
}

bool volume_halted(struct call *c)
{
	if (!qube_active(c->dest))
		return true;
	call_refuse(c, E_NOT_HALTED, "Domain is not powered off: '%s'", c->dest->name);
	return false;
}

static const char *truth(bool is)
{
	return is ? "True" : "False";
}

/* Without a storage service, where it would be. */
static void default_path(const struct volume *v, const char *vid, struct text *out)
{
	struct pool *p = pool_by_name(v->pool);
	const char *dir = p ? pairs_get(p->config, p->n_config, "dir_path") : NULL;

	if (!dir || !vid[0])
		return;
	text_printf(out, "%s/%s%s", dir, vid,
	            text_equal(p->driver, "linux-kernel")           ? "/modules.img"
	            : text_equal(p->driver, "directory")            ? ""
	            : v->save_on_stop && v->revisions_to_keep == -1 ? ".img"
	                                                            : "-dirty.img");
}

static void put_info(struct call *c, const struct volume *v, const struct storage_answer *a)
{
	AUTO_TEXT path = {0};
	AUTO_TEXT vid = {0};

	storage_vid(c->dest, v, &vid);
	if (a && a->kind == STORAGE_DONE && a->path[0])
		text_puts(&path, storage_inner_path(a->path));
	else
		default_path(v, text_get(&vid), &path);
	text_printf(&c->reply, "pool=%s\nvid=%s\nsize=%" PRIu64 "\nusage=%" PRIu64 "\n", v->pool,
	            text_get(&vid), a && a->size ? a->size : v->size, a ? a->usage : 0);
	text_printf(&c->reply, "rw=%s\nsource=%s\npath=%s\n", truth(v->rw), v->source,
	            text_get(&path));
	text_printf(&c->reply, "save_on_stop=%s\nsnap_on_start=%s\nrevisions_to_keep=%" PRId64 "\n",
	            truth(v->save_on_stop), truth(v->snap_on_start), v->revisions_to_keep);
	text_printf(&c->reply, "ephemeral=%s\nis_outdated=%s\n", truth(v->ephemeral),
	            truth(a && (a->flags & STORAGE_F_OUTDATED)));
}

static void on_info(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;
	struct volume *v;

	turn_begin();
	v = volume_named(c);
	/* A volume that is not there yet, or any more, is still configured. */
	if (v)
		put_info(c, v, a);
	call_finish(c);
	turn_end(true);
}

void method_volume_info(struct call *c)
{
	struct volume *v = volume_named(c);
	struct storage_request q;

	if (!v)
		return;
	storage_of(c->dest, v, STORAGE_INFO, &q);
	if (!storage_there() || !q.vid[0]) {
		put_info(c, v, NULL);
		return;
	}
	call_wait(c);
	(void)storage_ask(&q, on_info, c);
}

void method_volume_list(struct call *c)
{
	size_t i;

	for (i = 0; i < c->dest->n_volumes; i++)
		text_printf(&c->reply, "%s\n", c->dest->volumes[i]->name);
}

static void on_revisions(void *arg, const struct storage_answer *a, const struct text *parts)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else
		text_puts(&c->reply, text_get(parts));
	call_finish(c);
	turn_end(true);
}

void method_volume_list_snapshots(struct call *c)
{
	struct volume *v = volume_named(c);
	struct storage_request q;

	if (!v)
		return;
	storage_of(c->dest, v, STORAGE_REVISIONS, &q);
	if (!storage_there() || !q.vid[0])
		return;
	call_wait(c);
	(void)storage_ask(&q, on_revisions, c);
}

/* The size that the storage service says is the volume's. */
void volume_take_size(struct call *c, const struct storage_answer *a)
{
	struct volume *v = c->dest->gone ? NULL : volume_by_name(c->dest, c->arg);
	struct volume next;

	if (!v || a->size == 0 || a->size == v->size)
		return;
	next = *v;
	next.size = a->size;
	volume_change(c->dest, &next);
}

static void on_changed(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else
		volume_take_size(c, a);
	call_finish(c);
	turn_end(true);
}

void method_volume_revert(struct call *c)
{
	struct volume *v = volume_named(c);
	struct storage_request q;

	if (!v)
		return;
	if (strlen(c->payload) != c->payload_len || !request_safe(c->payload, REVISION_SET)) {
		call_refuse(c, E_PROTOCOL, "Revision name must be in safe set: " REVISION_SET);
		return;
	}
	storage_of(c->dest, v, STORAGE_REVERT, &q);
	if (!storage_revision_legal(c->payload) || !storage_there()) {
		call_refuse(c, E_REVISION_NOT_FOUND, "%s of %s has no revision %s", v->name,
		            c->dest->name, c->payload);
		return;
	}
	memcpy(q.revision, c->payload, c->payload_len);
	call_wait(c);
	(void)storage_ask(&q, on_changed, c);
}

static void on_resized_inside(void *arg, const struct monitor_message *answer)
{
	struct call *c = arg;
	char why[64];

	turn_begin();
	if (answer->kind == MONITOR_FAILED)
		snprintf(why, sizeof(why), "%.60s", answer->failed.text);
	else
		snprintf(why, sizeof(why), "exit status %" PRIu32, answer->done.status);
	if (answer->kind == MONITOR_FAILED || answer->done.status != 0)
		call_refuse(c, E_STORAGE,
		            "Online resize of volume %s failed (you need to resize filesystem "
		            "manually): %s",
		            c->arg, why);
	call_finish(c);
	turn_end(true);
}

static bool resizes_inside(const struct call *c)
{
	struct volume *v = c->dest->gone ? NULL : volume_by_name(c->dest, c->arg);
	struct pool *p = v ? pool_by_name(v->pool) : NULL;

	/* A tree has no file system of its own. */
	return p && qube_active(c->dest) && !text_equal(p->driver, "directory");
}

static void on_resized(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;
	char name[32];
	bool inside;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else
		volume_take_size(c, a);
	inside = a->kind == STORAGE_DONE && resizes_inside(c);
	if (inside)
		event_fire(c->dest, "domain-cmd-pre-run", "start_guid", "False", NULL);
	else
		call_finish(c);
	turn_end(true);
	if (!inside)
		return;
	snprintf(name, sizeof(name), "%s\n", c->arg);
	ground_call(c->dest, "root", "qubes.ResizeDisk", name, strlen(name), RESIZE_MS,
	            on_resized_inside, c);
}

void method_volume_resize(struct call *c)
{
	struct volume *v = volume_named(c);
	const char *text = c->payload;
	size_t len = c->payload_len;
	struct storage_request q;
	long long size;

	if (!v)
		return;
	for (; len && strchr(" \t\r\n\v\f", text[0]); text++)
		len--;
	while (len && strchr(" \t\r\n\v\f", text[len - 1]))
		len--;
	if (!request_number(text, len, false, "Volume size", &size, &c->fault))
		return;
	if (!v->rw) {
		call_refuse(c, E_STORAGE, "Can not resize read-only volume %s of %s", v->name,
		            c->dest->name);
		return;
	}
	if ((unsigned long long)size > STORAGE_SIZE_MAX) {
		call_refuse(c, E_STORAGE, "Volume size %lld is too big", size);
		return;
	}
	storage_of(c->dest, v, STORAGE_RESIZE, &q);
	q.size = (uint64_t)size;
	call_wait(c);
	(void)storage_ask(&q, on_resized, c);
}

/* A disposable of the qube counts: its volume is a snapshot of this one. */
static bool in_use(const struct qube *q)
{
	size_t i;

	if (qube_active(q))
		return true;
	for (i = 0; i < world.n_qubes; i++) {
		struct qube *other = world.qubes[i];

		if (other->klass == CLASS_DISP && qube_active(other) &&
		    property_qube(other, PROP_TEMPLATE) == q)
			return true;
	}
	return false;
}

void method_volume_set_revisions(struct call *c)
{
	struct volume *v = volume_named(c);
	struct volume next;
	long long keep;

	if (!v || !request_number(c->payload, c->payload_len, true, "Revisions to keep", &keep,
	                          &c->fault))
		return;
	if (keep < -1 || keep > STORAGE_KEEP_MAX) {
		call_refuse(c, E_VALUE, "Invalid value for revisions_to_keep");
		return;
	}
	if ((keep == -1) != (v->revisions_to_keep == -1) && in_use(c->dest)) {
		call_refuse(c, E_NOT_HALTED, "Domain is not powered off: '%s'", c->dest->name);
		return;
	}
	next = *v;
	next.revisions_to_keep = keep;
	volume_change(c->dest, &next);
}

/* -1: refused. */
int volume_bool(struct call *c)
{
	int value = strlen(c->payload) == c->payload_len ? request_bool(c->payload) : -1;

	if (value < 0)
		call_refuse(c, E_PROTOCOL, "Payload is not boolean ASCII");
	return value;
}

void method_volume_set_rw(struct call *c)
{
	struct volume *v = volume_named(c);
	int value = v ? volume_bool(c) : -1;
	struct volume next;

	if (value < 0 || !volume_halted(c))
		return;
	next = *v;
	next.rw = value;
	volume_change(c->dest, &next);
}

void method_volume_set_ephemeral(struct call *c)
{
	struct volume *v = volume_named(c);
	int value = v ? volume_bool(c) : -1;
	struct volume next;

	if (value < 0)
		return;
	if (value && (v->snap_on_start || v->save_on_stop || !v->rw)) {
		call_refuse(c, E_VALUE,
		            "Cannot enable ephemeral on snap_on_start or save_on_stop or non-dom0 "
		            "or not "
		            "writable volume");
		return;
	}
	next = *v;
	next.ephemeral = value;
	volume_change(c->dest, &next);
}
