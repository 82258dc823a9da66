/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.vm.Create.*, CreateInPool.*: a new qube with its volumes. */
#include "services/admin/create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "services/admin/feature_methods.h"
#include "services/admin/methods.h"
#include "services/admin/property.h"
#include "services/admin/tags.h"
#include "services/admin/volumes.h"

uint32_t create_number(void)
{
	uint8_t *used = memory_get(QUBES_MAX + 1);
	uint32_t n;
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->qid <= QUBES_MAX)
			used[world.qubes[i]->qid] = 1;
	for (n = 1; n <= QUBES_MAX && used[n];)
		n++;
	free(used);
	return n <= QUBES_MAX ? n : 0;
}

void create_uuid(char out[UUID_LEN])
{
	uint8_t b[16];

	do {
		if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
			abort();
		b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
		b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
		snprintf(out, UUID_LEN,
		         "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		         b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
		         b[12], b[13], b[14], b[15]);
	} while (qube_by_uuid(out));
}

/* What is being made: a crash in between must not leave half a qube in the list. */
static void making(const struct qube *q, bool yes)
{
	AUTO_TEXT key = {0};

	text_printf(&key, "making/%s", q->uuid);
	row_set(ROW_KEPT, world.system, text_get(&key), yes ? q->name : NULL);
}

static void silent_tag(struct qube *q, const char *prefix, enum property_id id)
{
	struct qube *is = property_has(q, id) ? property_qube(q, id) : NULL;
	AUTO_TEXT tag = {0};

	if (!is)
		return;
	text_printf(&tag, "%s%s", prefix, is->name);
	row_set(ROW_TAG, q, text_get(&tag), "1");
}

void create_role_tags(struct qube *q)
{
	size_t i = 0;

	while (i < q->n_tags) {
		AUTO_TEXT tag = {0};

		text_puts(&tag, q->tags[i]);
		if (text_starts(tag.data, "guivm-") || text_starts(tag.data, "audiovm-"))
			row_set(ROW_TAG, q, tag.data, NULL);
		else
			i++;
	}
	silent_tag(q, "audiovm-", PROP_AUDIOVM);
	silent_tag(q, "guivm-", PROP_GUIVM);
}

static void put_properties(struct qube *q, const struct create_wish *wish)
{
	char number[16];

	property_store(q, PROP_LABEL, wish->label);
	if (wish->template)
		property_store(q, PROP_TEMPLATE, wish->template->name);
	if (wish->klass == CLASS_DISP) {
		snprintf(number, sizeof(number), "%u", wish->dispid);
		property_store(q, PROP_DISPID, number);
	}
	if (wish->disposable)
		property_store(q, PROP_AUTO_CLEANUP, "True");
	if (!property_bool(world.system, SYS_CHECK_UPDATES_VM) && wish->klass != CLASS_REMOTE)
		row_set(ROW_FEATURE, q, "check-updates", "");
}

/* Every disposable, named or not, takes tags and features of its template. */
static void inherit_tags(struct qube *q, const struct qube *template)
{
	size_t i;

	for (i = 0; i < template->n_features; i++)
		if (!text_starts(template->features[i].name, "preload-dispvm"))
			row_set(ROW_FEATURE, q, template->features[i].name,
			        template->features[i].value);

	for (i = 0; i < template->n_tags; i++)
		row_set(ROW_TAG, q, template->tags[i], "1");
}

/* The original lets clients see how far it came. */
static void take_back(struct qube *q, struct qube *creator)
{
	q->announced = true;
	event_fire(world.system, "domain-add", "vm", q->name, NULL);
	tag_created_by(q, creator);
	event_fire(world.system, "domain-pre-delete", "vm", q->name, NULL);
	remove_rows(q);
}

struct qube *create_begin(const struct create_wish *wish, struct fault *f)
{
	uint32_t number = create_number();
	char uuid[UUID_LEN];
	struct qube *q;

	if (number == 0) {
		fault_set(f, E_QUBES, "There are as many qubes as there may be");
		return NULL;
	}
	create_uuid(uuid);
	q = qube_add(wish->klass, wish->name, uuid, number);
	put_properties(q, wish);
	if (wish->klass == CLASS_DISP)
		inherit_tags(q, wish->template);
	if (!volumes_plan(q, wish->pool, wish->pools, wish->n_pools, f)) {
		take_back(q, wish->creator);
		return NULL;
	}
	create_role_tags(q);
	if (wish->klass != CLASS_REMOTE)
		making(q, true);
	q->announced = true;
	event_fire(world.system, "domain-add", "vm", q->name, NULL);
	if (!wish->disposable)
		tag_created_by(q, wish->creator);
	return q;
}

static enum job_result step_volumes(struct job *j)
{
	volumes_create(j->q, job_volumes, j);
	return JOB_WAIT;
}

static enum job_result step_made(struct job *j)
{
	if (j->q->gone) {
		fault_set(&j->fault, E_QUBES, "The qube was removed while it was made");
		return JOB_FAILED;
	}
	making(j->q, false);
	event_fire(j->q, "domain-create-on-disk", NULL);
	return JOB_NEXT;
}

static enum job_result undo_made(struct job *j)
{
	if (!j->q->gone) {
		making(j->q, false);
		remove_rows(j->q);
	}
	return JOB_NEXT;
}

struct job *create_job(struct qube *q)
{
	static const job_step steps[] = {step_volumes, step_made, NULL};
	static const job_step undo[] = {undo_made, NULL};
	struct job *j = job_new("creation", steps, q);

	j->undo = undo;
	return j;
}

/* What the payload asks for. */
struct options {
	char *name, *label, *pool;
	struct pair *pools;
	size_t n_pools;
};

static void options_free(struct options *o)
{
	free(o->name);
	free(o->label);
	free(o->pool);
	pairs_free(&o->pools, &o->n_pools);
}

static bool pool_option(struct options *o, const char *key, const char *value, bool allowed,
                        struct fault *f)
{
	static const char *const volumes[] = {"root", "private", "volatile", "kernel"};
	size_t i;

	if (!allowed)
		return fault_set(f, E_PROTOCOL, "Pool option specified but 'allow_pool' is False");
	if (strcmp(key, "pool") == 0) {
		if (o->pool)
			return fault_set(f, E_PROTOCOL, "Options must be unique");
		if (o->n_pools)
			return fault_set(f, E_PROTOCOL,
			                 "Conflicting options specified: 'pool=', 'pool:volume='");
		o->pool = memory_text(value);
		return true;
	}
	key += strlen("pool:");
	for (i = 0; i < ARRAY_LEN(volumes) && strcmp(volumes[i], key) != 0;)
		i++;
	if (i == ARRAY_LEN(volumes))
		return fault_set(f, E_PROTOCOL,
		                 "Volume must be one of: root, private, volatile, kernel");
	if (o->pool)
		return fault_set(f, E_PROTOCOL,
		                 "Conflicting options specified: 'pool=', 'pool:volume='");
	if (pairs_get(o->pools, o->n_pools, key))
		return fault_set(f, E_PROTOCOL, "Options must be unique");
	pairs_set(&o->pools, &o->n_pools, key, value);
	return true;
}

static bool option(struct options *o, char *word, bool allow_pool, struct fault *f)
{
	char *equals = strchr(word, '=');
	const char *value;

	if (!equals)
		return fault_set(f, E_PROTOCOL, "Options must be of the form key=value");
	*equals = 0;
	value = equals + 1;
	if (strcmp(word, "name") == 0) {
		if (o->name)
			return fault_set(f, E_PROTOCOL, "Options must be unique");
		o->name = memory_text(value);
		return request_name_check(value, f, E_VALUE);
	}
	if (strcmp(word, "label") == 0) {
		if (o->label)
			return fault_set(f, E_PROTOCOL, "Options must be unique");
		o->label = memory_text(value);
		return label_name_check(value, f);
	}
	if (strcmp(word, "pool") == 0 || text_starts(word, "pool:"))
		return pool_option(o, word, value, allow_pool, f);
	return fault_set(f, E_PROTOCOL, "Options does not match: name, label, pool, pool:");
}

static bool parse(struct call *c, bool allow_pool, struct options *o)
{
	char *at = c->payload, *word;
	size_t i;

	for (i = 0; i < c->payload_len; i++)
		if ((unsigned char)c->payload[i] >= 0x80 || !c->payload[i])
			return fault_set(&c->fault, E_PROTOCOL,
			                 "Creation options contain non-ASCII characters");
	while (c->payload_len && (word = strsep(&at, " ")))
		if (!option(o, word, allow_pool, &c->fault))
			return false;
	if (!o->name)
		return fault_set(&c->fault, E_PROTOCOL, "Creation requested without key: name");
	if (!o->label || !label_by_name(o->label))
		return fault_set(&c->fault, E_PROTOCOL, "Creation requested without key: label");
	return true;
}

static bool find_template(struct call *c, struct create_wish *wish)
{
	bool disp = wish->klass == CLASS_DISP;

	if (wish->klass != CLASS_APP && !disp)
		return true;
	wish->template = c->arg[0] ? qube_by_name(c->arg)
	                           : property_qube(world.system, disp ? SYS_DEFAULT_DISPVM
	                                                              : SYS_DEFAULT_TEMPLATE);
	if (c->arg[0] && !request_name_check(c->arg, &c->fault, E_VALUE))
		return false;
	if (!wish->template && c->arg[0])
		return fault_set(&c->fault, E_NOT_FOUND, "No such domain: '%s'", c->arg);
	if (!wish->template)
		return fault_set(&c->fault, E_VALUE,
		                 "No template is given and there is no default one");
	if (disp && (wish->template->klass != CLASS_APP ||
	             !property_bool(wish->template, PROP_TEMPLATE_FOR_DISPVMS)))
		return fault_set(&c->fault, E_VALUE,
		                 "template for disposable (%s) needs to be an AppVM with "
		                 "template_for_dispvms=True",
		                 wish->template->name);
	if (!disp && wish->template->klass != CLASS_TEMPLATE)
		return fault_set(&c->fault, E_PROPERTY_VALUE,
		                 "wrong VM class: domains['%s'] is of type %s and not TemplateVM",
		                 wish->template->name, class_name(wish->template->klass));
	return true;
}

static bool check_pools(const struct options *o, struct fault *f)
{
	size_t i;

	if (o->pool && !pool_by_name(o->pool))
		return fault_set(f, E_QUBES, "Unknown storage pool %s", o->pool);
	for (i = 0; i < o->n_pools; i++)
		if (!pool_by_name(o->pools[i].value))
			return fault_set(f, E_QUBES, "Unknown storage pool %s", o->pools[i].value);
	return true;
}

/* The rows are durable: now the volumes. */
static void on_rows(void *arg, const char *failed)
{
	struct job *j = arg;

	if (failed) {
		fault_set(&j->fault, E_QUBES, "The change could not be stored and was undone: %s",
		          failed);
		j->steps = j->undo = NULL;
	}
	job_start(j);
}

void create_after_turn(struct job *j)
{
	turn_then(on_rows, j);
}

struct creation {
	struct call *call;
	void (*made)(struct job *j, struct call *c);
};

static void on_done(void *arg, struct job *j, const struct fault *fault)
{
	struct creation *made = arg;

	if (fault)
		made->call->fault = *fault;
	else if (made->made)
		made->made(j, made->call);
	call_finish(made->call);
	free(made);
}

void create_for_call(struct job *j, struct call *c, void (*made)(struct job *j, struct call *c))
{
	struct creation *creation = memory_get(sizeof(*creation));

	*creation = (struct creation){.call = c, .made = made};
	j->done = on_done;
	j->arg = creation;
	call_wait(c);
	create_after_turn(j);
}

static void create(struct call *c, bool allow_pool)
{
	struct create_wish wish = {.klass = class_by_name(c->method->data), .creator = c->src};
	struct options o = {0};
	struct qube *q = NULL;

	if (c->arg[0] && wish.klass != CLASS_APP && wish.klass != CLASS_DISP) {
		call_refuse(c, E_PROTOCOL, "%s cannot be based on template", c->method->data);
		return;
	}
	if (!parse(c, allow_pool, &o))
		goto out;
	if (wish.klass == CLASS_ADMIN) {
		call_refuse(c, E_PROPERTY_VALUE,
		            "property 'qid' on AdminVM instance cannot be set");
		goto out;
	}
	if (qube_by_name(o.name)) {
		call_refuse(c, E_EXISTS, "Qube already exists: %s", o.name);
		goto out;
	}
	if (!find_template(c, &wish) || !check_pools(&o, &c->fault))
		goto out;
	wish.name = o.name;
	wish.label = o.label;
	wish.pool = o.pool;
	wish.pools = o.pools;
	wish.n_pools = o.n_pools;
	if (wish.klass == CLASS_DISP && !create_dispid(&wish.dispid, &c->fault))
		goto out;
	q = create_begin(&wish, &c->fault);
	/* What was made was taken back; its events stay. */
	c->keep = !q;
	if (q && wish.klass != CLASS_REMOTE)
		create_for_call(create_job(q), c, NULL);
out:
	options_free(&o);
}

void method_create(struct call *c)
{
	create(c, false);
}

void method_create_in_pool(struct call *c)
{
	create(c, true);
}
