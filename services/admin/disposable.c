/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unnamed disposables: admin.vm.CreateDisposable, their numbers, what they take from their template. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "services/admin/create.h"
#include "services/admin/feature_methods.h"
#include "services/admin/methods.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"
#include "services/admin/tags.h"

#define DISPIDS      10000U
#define DISPID_TRIES 100
#define DISPID_REST  (7 * 24 * 3600) /* seconds before a number is used again; the original's */

static bool dispid_rests(uint32_t id, time_t now)
{
	AUTO_TEXT key = {0};
	const char *freed;
	long long at;

	text_printf(&key, "dispid/%u", id);
	freed = kept_get(text_get(&key));
	if (!freed)
		return false;
	at = strtoll(freed, NULL, 10);
	/* A clock that went back makes a number rest longer, never shorter. */
	return now < at + DISPID_REST;
}

static bool dispid_used(uint32_t id)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->values[PROP_DISPID] &&
		    strtoul(world.qubes[i]->values[PROP_DISPID], NULL, 10) == id)
			return true;
	return false;
}

bool create_dispid(uint32_t *ret, struct fault *f)
{
	time_t now = time(NULL);
	AUTO_TEXT name = {0};
	uint32_t id;
	int i;

	for (i = 0; i < DISPID_TRIES; i++) {
		if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
			break;
		id %= DISPIDS;
		text_clear(&name);
		text_printf(&name, "disp%u", id);
		if (dispid_used(id) || dispid_rests(id, now) || qube_by_name(text_get(&name)))
			continue;
		*ret = id;
		return true;
	}
	return fault_set(f, E_QUBES, "Failed to find available dispid");
}

void create_dispid_freed(const struct qube *q)
{
	AUTO_TEXT key = {0};
	char now[32];

	if (!q->values[PROP_DISPID])
		return;
	text_printf(&key, "dispid/%s", q->values[PROP_DISPID]);
	snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
	row_set(ROW_KEPT, world.system, text_get(&key), now);
}

/* Every setting of the template that is not its default, where a disposable has it too. */
static void inherit(struct qube *q, struct qube *template)
{
	static const enum property_id own[] = {PROP_LABEL,
	                                       PROP_TEMPLATE,
	                                       PROP_DISPID,
	                                       PROP_AUTO_CLEANUP,
	                                       PROP_AUTOSTART,
	                                       PROP_BACKUP_TIMESTAMP,
	                                       PROP_INSTALLED_BY_RPM,
	                                       PROP_INCLUDE_IN_BACKUPS};
	const struct property *p;
	size_t n, i, k;

	p = property_table(&n);
	for (i = 0; i < n; i++) {
		if (!(p[i].classes & CLASS_BIT(CLASS_DISP)) ||
		    p[i].flags & (PROP_READ_ONLY | PROP_FIXED) || !template->values[p[i].id] ||
		    p[i].id == PROP_IP || p[i].id == PROP_IP6 || p[i].id == PROP_MAC)
			continue;
		for (k = 0; k < ARRAY_LEN(own) && own[k] != p[i].id;)
			k++;
		if (k == ARRAY_LEN(own))
			row_set(ROW_PROPERTY, q, p[i].name, template->values[p[i].id]);
	}
	if (template->firewall)
		row_set(ROW_FIREWALL, q, "", template->firewall);
}

struct qube *create_disposable(struct qube *template, struct qube *creator, struct fault *f)
{
	struct create_wish wish = {.klass = CLASS_DISP,
	                           .template = template,
	                           .creator = creator,
	                           .label = template->values[PROP_LABEL],
	                           .disposable = true};
	char name[QUBE_NAME_LEN];
	struct qube *q;

	if (!create_dispid(&wish.dispid, f))
		return NULL;
	snprintf(name, sizeof(name), "disp%u", wish.dispid);
	wish.name = name;
	if (!wish.label)
		wish.label = "red";
	q = create_begin(&wish, f);
	if (q) {
		inherit(q, template);
		create_role_tags(q);
	}
	return q;
}

void disposable_mark(struct qube *q, struct qube *creator)
{
	AUTO_TEXT tag = {0};

	tag_created_by(q, creator);
	text_printf(&tag, "disp-created-by-%s", creator->name);
	tag_put(q, text_get(&tag));
}

static void on_made(struct job *j, struct call *c)
{
	disposable_mark(j->q, c->src);
	if (strcmp(c->payload, "uuid") == 0)
		text_printf(&c->reply, "uuid:%s", j->q->uuid);
	else
		text_puts(&c->reply, j->q->name);
}

void method_create_disposable(struct call *c)
{
	struct qube *template = c->dest, *q;

	if (c->arg[0] && strcmp(c->arg, "preload") != 0) {
		call_refuse(c, E_DENIED, "Argument not in \"'', 'preload'\"");
		return;
	}
	if (c->payload_len && (c->payload_len != 4 || strcmp(c->payload, "uuid") != 0)) {
		call_refuse(c, E_PROTOCOL, "Invalid payload, expected empty string or 'uuid'");
		return;
	}
	if (template->klass == CLASS_ADMIN)
		template = property_qube(c->src, PROP_DEFAULT_DISPVM);
	if (!template) {
		call_refuse(c, E_QUBES, "%s has no default disposable template", c->src->name);
		return;
	}
	if (!property_bool(template, PROP_TEMPLATE_FOR_DISPVMS) || template->klass != CLASS_APP) {
		call_refuse(c, E_QUBES,
		            "Refusing to create disposable out of app qube which has "
		            "template_for_dispvms=False");
		return;
	}
	if (c->arg[0]) {
		preload_fill(template);
		return;
	}
	if (preload_take(template, c))
		return;
	q = create_disposable(template, c->src, &c->fault);
	if (q)
		create_for_call(create_job(q), c, on_made);
}
