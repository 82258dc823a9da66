/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.vm.Remove, and what a crash left half-made. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/create.h"
#include "services/admin/methods.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"
#include "services/admin/volumes.h"

struct removal {
	char key[sizeof("removing/") + UUID_LEN];
	char *list;
};

static void on_removed(void *arg, const struct fault *fault)
{
	struct removal *r = arg;

	if (fault) {
		/* Stays in the store: the next start tries again. */
		LOG("data of a removed qube is still there: %s", fault->text);
	} else {
		turn_begin();
		row_set(ROW_KEPT, world.system, r->key, NULL);
		turn_end(true);
	}
	free(r->list);
	free(r);
}

static void on_durable(void *arg, const char *failed)
{
	struct removal *r = arg;

	if (!failed) {
		volumes_remove(r->list, on_removed, r);
		return;
	}
	free(r->list);
	free(r);
}

static void remove_data(const char *uuid, const char *list, bool now)
{
	struct removal *r = memory_get(sizeof(*r));

	snprintf(r->key, sizeof(r->key), "removing/%s", uuid);
	r->list = memory_text(list);
	if (now)
		on_durable(r, NULL);
	else
		turn_then(on_durable, r);
}

void remove_rows(struct qube *q)
{
	AUTO_TEXT list = {0};
	AUTO_TEXT key = {0};
	char name[QUBE_NAME_LEN], uuid[UUID_LEN];

	memcpy(name, q->name, sizeof(name));
	memcpy(uuid, q->uuid, sizeof(uuid));
	volumes_list(q, &list);
	create_dispid_freed(q);
	preload_forget(q);
	q->announced = false;
	qube_drop(q);
	text_printf(&key, "removing/%s", uuid);
	row_set(ROW_KEPT, world.system, text_get(&key), text_get(&list));
	event_fire(world.system, "domain-delete", "vm", name, NULL);
	remove_data(uuid, text_get(&list), false);
}

static void mark_user(void *arg, struct qube *user, const struct property *p)
{
	bool *used = arg;

	if (user->klass == CLASS_SYSTEM)
		LOG("a qube to be removed is in use: property %s of the system", p->name);
	else
		LOG("a qube to be removed is in use: property %s of %s", p->name, user->name);
	*used = true;
}

static bool backs_devices(const struct qube *q, struct text *ports)
{
	size_t i, k;

	for (i = 0; i < world.n_qubes; i++)
		for (k = 0; k < world.qubes[i]->n_assigned; k++) {
			const struct assignment *a = world.qubes[i]->assigned[k];

			if (world.qubes[i] == q || !text_equal(a->backend, q->name))
				continue;
			text_printf(ports, "%s%s:%s", ports->len ? ", " : "", a->backend, a->port);
		}
	return ports->len > 0;
}

bool remove_check(struct qube *q, struct fault *f)
{
	AUTO_TEXT ports = {0};
	bool used = false;

	if (q->klass == CLASS_ADMIN)
		return fault_set(f, E_IN_USE, "'dom0' cannot be removed");
	if (property_bool(q, PROP_INSTALLED_BY_RPM))
		return fault_set(f, E_IN_USE, "VM installed by package manager: %s", q->name);
	if (q->klass != CLASS_REMOTE && q->run.state != STATE_HALTED)
		return fault_set(f, E_NOT_HALTED, "Domain is not powered off: '%s'", q->name);
	event_fire(world.system, "domain-pre-delete", "vm", q->name, NULL);
	property_users(q, mark_user, &used);
	if (used)
		return fault_set(
		        f, E_IN_USE,
		        "Domain is in use: '%s';  see 'journalctl -u qubesd -e' in dom0 for "
		        "details",
		        q->name);
	if (backs_devices(q, &ports))
		return fault_set(f, E_IN_USE, "VM has devices assigned to other VMs: %.700s",
		                 text_get(&ports));
	return true;
}

static enum job_result step_remove(struct job *j)
{
	if (j->q->gone) {
		fault_set(&j->fault, E_NOT_FOUND, "No such domain: '%s'", j->q->name);
		return JOB_FAILED;
	}
	if (!remove_check(j->q, &j->fault))
		return JOB_FAILED;
	remove_rows(j->q);
	return JOB_NEXT;
}

void method_remove(struct call *c)
{
	static const job_step steps[] = {step_remove, NULL};

	job_for_call(job_new("removal", steps, c->dest), c);
}

/* Qubes without all of their volumes go away; so does the data of qubes that went away. */
void remove_leftovers(void)
{
	size_t i;

	for (i = world.n_kept; i-- > 0;) {
		const char *key = world.kept[i].name, *value = world.kept[i].value;
		struct qube *q;
		AUTO_TEXT copy = {0};

		if (text_starts(key, "removing/"))
			remove_data(key + strlen("removing/"), value, true);
		if (!text_starts(key, "making/"))
			continue;
		text_puts(&copy, key);
		q = qube_by_uuid(key + strlen("making/"));
		LOG("%s was not completely made: removed", value);
		turn_begin();
		row_set(ROW_KEPT, world.system, text_get(&copy), NULL);
		if (q)
			remove_rows(q);
		turn_end(true);
		/* The list changed: from its end again. */
		i = world.n_kept;
	}
}
