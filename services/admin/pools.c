/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.pool.*. */
#include "services/admin/pools.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "services/admin/property.h"
#include "services/admin/storage_client.h"
#include "services/admin/volume_internal.h"
#include "services/admin/volumes.h"

#define POOL_SET SET_LETTERS SET_DIGITS "-_."

/* Options are listed as the original lists those of its own drivers. */
static const struct driver {
	const char *name, *options;
	bool needs_dir;
	bool revisions; /* revisions_to_keep and ephemeral_volatile have values when none were given */
	const char *keep;
} drivers[] = {
        {"directory", "revisions_to_keep dir_path ephemeral_volatile", true, true, "0"},
        {"file", "revisions_to_keep dir_path ephemeral_volatile", true, true, "1"},
        {"file-reflink", "revisions_to_keep dir_path setup_check ephemeral_volatile", true, true,
         "1"},
        {"host", "", false, false, NULL},
        {"linux-kernel", "dir_path", true, false, NULL},
};

static const struct driver *driver_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (text_equal(drivers[i].name, name))
			return &drivers[i];
	return NULL;
}

static struct pool *named(struct call *c)
{
	struct pool *p = pool_by_name(c->arg);

	if (!p)
		call_refuse(c, E_DENIED, "Argument not in 'pools'");
	return p;
}

void method_pool_list(struct call *c)
{
	for (size_t i = 0; i < world.n_pools; i++)
		text_printf(&c->reply, "%s\n", world.pools[i]->name);
}

void method_pool_list_drivers(struct call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		text_printf(&c->reply, "%s%s%s\n", drivers[i].name,
		            drivers[i].options[0] ? " " : "", drivers[i].options);
}

static int by_name(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void put_config(const struct pool *p, struct text *out)
{
	struct pair *all = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->n_config; i++)
		pairs_set(&all, &n, p->config[i].name, p->config[i].value);
	pairs_set(&all, &n, "driver", p->driver);
	pairs_set(&all, &n, "name", p->name);
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++)
		text_printf(out, "%s=%s\n", all[i].name, all[i].value);
	pairs_free(&all, &n);
}

static const char *dir_of(const struct pool *p)
{
	return pairs_get(p->config, p->n_config, "dir_path");
}

/* The pool whose folder this one's lies in: its space is counted there. */
static const struct pool *included_in(const struct pool *p)
{
	const char *dir = dir_of(p);
	const struct pool *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; dir && i < world.n_pools; i++) {
		const char *other = dir_of(world.pools[i]);
		size_t len = other ? strlen(other) : 0;

		if (world.pools[i] != p && len > longest && strncmp(dir, other, len) == 0 &&
		    dir[len] == '/') {
			found = world.pools[i];
			longest = len;
		}
	}
	return found;
}

static void on_usage(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;
	bool details = text_equal(c->method->name, "admin.pool.UsageDetails");
	struct pool *p;

	turn_begin();
	p = named(c);
	if (p && !details)
		put_config(p, &c->reply);
	if (p && a->kind == STORAGE_DONE && a->size)
		text_printf(&c->reply,
		            details ? "data_size=%" PRIu64 "\ndata_usage=%" PRIu64 "\n"
		                    : "size=%" PRIu64 "\nusage=%" PRIu64 "\n",
		            a->size, a->usage);
	call_finish(c);
	turn_end(true);
}

static void ask_usage(struct call *c, const struct pool *p)
{
	struct storage_request q = {.kind = STORAGE_POOL_INFO};

	if (bytes_copy_text(q.pool, sizeof(q.pool), p->name))
		q.kind = 0;
	call_wait(c);
	(void)storage_ask(&q, on_usage, c);
}

void method_pool_info(struct call *c)
{
	struct pool *p = named(c);
	const struct pool *outer = p ? included_in(p) : NULL;

	if (!p)
		return;
	if (storage_there() && !outer && dir_of(p)) {
		ask_usage(c, p);
		return;
	}
	put_config(p, &c->reply);
	if (outer)
		text_printf(&c->reply, "included_in=%s\n", outer->name);
}

void method_pool_usage_details(struct call *c)
{
	struct pool *p = named(c);

	if (p && storage_there() && !included_in(p) && dir_of(p))
		ask_usage(c, p);
}

/* Lines in order: the storage service gives them as they lie on the disk. */
static void put_sorted(struct text *out, const char *lines)
{
	struct pair *names = NULL;
	size_t n = 0;

	while (*lines) {
		size_t len = strcspn(lines, "\n");
		AUTO_TEXT name = {0};

		text_add(&name, lines, len);
		pairs_set(&names, &n, text_get(&name), "");
		lines += len + (lines[len] == '\n');
	}
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		text_printf(out, "%s\n", names[i].name);
	pairs_free(&names, &n);
}

static void on_list(void *arg, const struct storage_answer *a, const struct text *parts)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else
		put_sorted(&c->reply, text_get(parts));
	call_finish(c);
	turn_end(true);
}

/* A pool of kernels holds what lies there; in the others is what qubes have. */
void method_pool_volume_list(struct call *c)
{
	struct pool *p = named(c);
	struct storage_request q = {.kind = STORAGE_POOL_LIST};

	if (!p)
		return;
	if (text_equal(p->driver, "linux-kernel") && storage_there()) {
		(void)bytes_copy_text(q.pool, sizeof(q.pool), p->name);
		call_wait(c);
		(void)storage_ask(&q, on_list, c);
		return;
	}
	for (size_t i = 0; i < world.n_qubes; i++)
		for (size_t k = 0; k < world.qubes[i]->n_volumes; k++) {
			const struct volume *v = world.qubes[i]->volumes[k];

			if (text_equal(v->pool, p->name) && v->vid[0])
				text_printf(&c->reply, "%s\n", v->vid);
		}
}

static bool parse_options(struct call *c, struct pair **pairs, size_t *n)
{
	char *at = c->payload, *end = c->payload + c->payload_len;

	for (size_t i = 0; i < c->payload_len; i++)
		if ((unsigned char)c->payload[i] >= 0x80 || !c->payload[i])
			return fault_set(&c->fault, E_PROTOCOL,
			                 "Pool parameters contains non-ASCII characters");
	while (at < end) {
		char *line = at, *equals;

		at += strcspn(at, "\n");
		*at++ = '\0';
		equals = strchr(line, '=');
		if (!equals)
			return fault_set(&c->fault, E_PROTOCOL,
			                 "Options must be separated by equal sign");
		*equals = '\0';
		if (pairs_get(*pairs, *n, line))
			return fault_set(&c->fault, E_PROTOCOL, "Options must be unique");
		pairs_set(pairs, n, line, equals + 1);
	}
	return true;
}

static bool knows_option(const struct driver *d, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = d->options; *at;) {
		size_t word = strcspn(at, " ");

		if (word == len && memcmp(at, name, len) == 0)
			return true;
		at += word + (at[word] == ' ');
	}
	return false;
}

static bool check_values(struct call *c, const struct pair *pairs, size_t n)
{
	const char *text = pairs_get(pairs, n, "revisions_to_keep");
	long long keep;

	if (text &&
	    (!request_number(text, strlen(text), true, "Revisions to keep", &keep, &c->fault)))
		return false;
	if (text && (keep < -1 || keep > STORAGE_KEEP_MAX))
		return fault_set(&c->fault, E_PROTOCOL, "Value can't be lower than -1");
	text = pairs_get(pairs, n, "ephemeral_volatile");
	if (text && request_bool(text) < 0)
		return fault_set(&c->fault, E_PROTOCOL, "Payload is not boolean ASCII");
	text = pairs_get(pairs, n, "setup_check");
	if (text && request_bool(text) < 0)
		return fault_set(&c->fault, E_PROTOCOL, "Payload is not boolean ASCII");
	text = pairs_get(pairs, n, "dir_path");
	if (text && !storage_dir_legal(text))
		return fault_set(&c->fault, E_QUBES,
		                 "dir_path must be an absolute path without blanks: %s", text);
	return true;
}

/* In the order in which the original finds fault. */
static bool check_options(struct call *c, const struct driver *d, const struct pair *pairs,
                          size_t n)
{
	const char *name = pairs_get(pairs, n, "name");

	if (!name)
		return fault_set(&c->fault, E_PROTOCOL,
		                 "Pool configuration must contain key: name");
	if (!name[0] || !request_safe(name, POOL_SET))
		return fault_set(&c->fault, E_PROTOCOL, "Pool name must be in safe set: " POOL_SET);
	for (size_t i = 0; i < n; i++)
		if (!text_equal(pairs[i].name, "name") && !knows_option(d, pairs[i].name))
			return fault_set(&c->fault, E_PROTOCOL, "Unexpected driver options found");
	if (pool_by_name(name))
		return fault_set(&c->fault, E_POOL_IN_USE, "Storage pool is in use: '%s'", name);
	if (d->needs_dir && !pairs_get(pairs, n, "dir_path"))
		return fault_set(&c->fault, E_QUBES, "missing required driver options: dir_path");
	if (world.n_pools >= POOLS_MAX || !storage_pool_legal(name))
		return fault_set(&c->fault, E_QUBES, "The pool cannot be called %s", name);
	return check_values(c, pairs, n);
}

struct adding {
	struct call *c;
	char *name, *row;
};

static void on_added(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct adding *adding = arg;
	struct call *c = adding->c;

	turn_begin();
	if (a->kind == STORAGE_FAILED) {
		storage_fault(a, &c->fault);
	} else if (pool_by_name(adding->name)) {
		call_refuse(c, E_POOL_IN_USE, "Storage pool is in use: '%s'", adding->name);
	} else {
		row_set(ROW_POOL, world.system, adding->name, adding->row);
		event_fire(world.system, "pool-add", "pool", adding->name, NULL);
	}
	call_finish(c);
	turn_end(true);
	free(adding->name);
	free(adding->row);
	free(adding);
}

static void add(struct call *c, const struct driver *d, struct pair **pairs, size_t *n)
{
	struct adding *adding = memory_get(sizeof(*adding));
	struct pool p = {.driver = memory_text(d->name)};
	AUTO_TEXT row = {0};

	p.name = memory_text(pairs_get(*pairs, *n, "name"));
	(void)pairs_drop(pairs, n, "name");
	if (d->revisions && !pairs_get(*pairs, *n, "revisions_to_keep"))
		pairs_set(pairs, n, "revisions_to_keep", d->keep);
	if (d->revisions && !pairs_get(*pairs, *n, "ephemeral_volatile"))
		pairs_set(pairs, n, "ephemeral_volatile", "False");
	/* It is made with its check unless that is switched off; an old pool is taken as it is. */
	if (knows_option(d, "setup_check") && !pairs_get(*pairs, *n, "setup_check"))
		pairs_set(pairs, n, "setup_check", "True");
	text_printf(&row, "driver=%s\n", d->name);
	for (size_t i = 0; i < *n; i++)
		if (!text_equal((*pairs)[i].name, "setup_check"))
			text_printf(&row, "%s=%s\n", (*pairs)[i].name, (*pairs)[i].value);
	p.config = *pairs;
	p.n_config = *n;
	*adding = (struct adding){.c = c, .name = p.name, .row = text_take(&row)};
	call_wait(c);
	storage_setup(&p, on_added, adding);
	free(p.driver);
}

void method_pool_add(struct call *c)
{
	const struct driver *d = driver_of(c->arg);
	struct pair *pairs = NULL;
	size_t n = 0;

	if (!d)
		call_refuse(c, E_DENIED, "Argument not in 'available drivers'");
	else if (parse_options(c, &pairs, &n) && check_options(c, d, pairs, n))
		add(c, d, &pairs, &n);
	pairs_free(&pairs, &n);
}

static bool is_default(const char *name)
{
	static const enum property_id ids[] = {SYS_DEFAULT_POOL, SYS_DEFAULT_POOL_KERNEL,
	                                       SYS_DEFAULT_POOL_PRIVATE, SYS_DEFAULT_POOL_ROOT,
	                                       SYS_DEFAULT_POOL_VOLATILE};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		AUTO_TEXT value = {0};

		if (property_read(world.system, ids[i], &value) &&
		    text_equal(text_get(&value), name))
			return true;
	}
	return false;
}

static void on_forgotten(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED && a->code != STORAGE_E_NO_POOL) {
		storage_fault(a, &c->fault);
	} else {
		row_set(ROW_POOL, world.system, c->arg, NULL);
		event_fire(world.system, "pool-delete", "pool", c->arg, NULL);
	}
	call_finish(c);
	turn_end(true);
}

void method_pool_remove(struct call *c)
{
	struct pool *p = named(c);
	struct storage_request q = {.kind = STORAGE_POOL_FORGET};

	if (!p)
		return;
	if (volumes_in_pool(p->name) || is_default(p->name)) {
		call_refuse(c, E_POOL_IN_USE, "Storage pool is in use: '%s'", p->name);
		return;
	}
	event_fire(world.system, "pool-pre-delete", "pool", p->name, NULL);
	(void)bytes_copy_text(q.pool, sizeof(q.pool), p->name);
	call_wait(c);
	(void)storage_ask(&q, on_forgotten, c);
}

static void set_option(struct call *c, struct pool *p, const char *name, const char *value)
{
	struct pair *pairs = NULL;
	AUTO_TEXT row = {0};
	size_t n = 0;

	for (size_t i = 0; i < p->n_config; i++)
		pairs_set(&pairs, &n, p->config[i].name, p->config[i].value);
	pairs_set(&pairs, &n, name, value);
	text_printf(&row, "driver=%s\n", p->driver);
	pairs_print(&row, pairs, n);
	pairs_free(&pairs, &n);
	row_set(ROW_POOL, world.system, p->name, text_get(&row));
}

void method_pool_set_revisions(struct call *c)
{
	struct pool *p = named(c);
	char text[32];
	long long keep;

	if (!p || !request_number(c->payload, c->payload_len, true, "Revisions to keep", &keep,
	                          &c->fault))
		return;
	if (keep < -1 || keep > STORAGE_KEEP_MAX) {
		call_refuse(c, E_PROTOCOL, "Value can't be lower than -1");
		return;
	}
	snprintf(text, sizeof(text), "%lld", keep);
	set_option(c, p, "revisions_to_keep", text);
}

void method_pool_set_ephemeral(struct call *c)
{
	struct pool *p = named(c);
	int value = p ? volume_bool(c) : -1;

	if (value >= 0)
		set_option(c, p, "ephemeral_volatile", value ? "True" : "False");
}
