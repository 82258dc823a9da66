/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/backup/restore_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/backup/common.h"
#include "tools/client/arena.h"

const char *renamed(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n; i++) {
		const char *old = pairs_get(&plan->list[i].properties, "name");

		if (old && strcmp(old, name) == 0 && plan->list[i].name[0])
			return plan->list[i].name;
	}
	return name;
}

void settings_warn(const struct plan_qube *q, const char *what, const struct admin_reply *r)
{
	if (r->error)
		(void)complain("%s: %s: %s", q->name, what, r->text);
}

static bool among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* Of this very qube, on that system. */
static bool left_out(const char *name)
{
	static const char *const names[] = {
	        "name", "qid", "uuid",       "label",  "template",         "klass",
	        "icon", "xid", "start_time", "dispid", "installed_by_rpm", "backup_timestamp"};

	return among(name, names, ARRAY_LEN(names));
}

static bool names_a_qube(const char *property)
{
	static const char *const names[] = {"netvm",   "default_dispvm",    "guivm",
	                                    "audiovm", "management_dispvm", "relayvm"};

	return among(property, names, ARRAY_LEN(names));
}

static void put_properties(const struct plan *plan, const struct plan_qube *q)
{
	for (size_t i = 0; i < q->properties.n; i++) {
		const struct pair *p = &q->properties.list[i];
		struct admin_reply r;

		if (left_out(p->name) || names_a_qube(p->name) != (plan != NULL))
			continue;
		r = admin_call("admin.vm.property.Set", p->name, q->name,
		               plan ? renamed(plan, p->value) : p->value);
		settings_warn(q, p->name, &r);
	}
}

static void put_volumes(const struct plan_qube *q)
{
	for (size_t i = 0; i < q->revisions.n; i++) {
		const struct pair *p = &q->revisions.list[i];
		struct admin_reply r = admin_call("admin.vm.volume.Set.revisions_to_keep", p->name,
		                                  q->name, p->value);

		settings_warn(q, p->name, &r);
	}
}

void settings_labels(const struct plan *plan)
{
	for (size_t i = 0; i < plan->labels.n; i++) {
		const struct pair *p = &plan->labels.list[i];
		struct admin_reply r = admin_call("admin.label.Get", p->name, "dom0", NULL);

		if (r.error)
			r = admin_call("admin.label.Create", p->name, "dom0", p->value);
		if (r.error)
			(void)complain("label %s: %s", p->name, r.text);
	}
}

void settings_own(const struct plan_qube *q)
{
	static const char *const of_backup[] = {"backup-content", "backup-path", "backup-size",
	                                        "backup-files"};

	put_properties(NULL, q);
	put_volumes(q);
	for (size_t i = 0; i < q->features.n; i++) {
		const struct pair *p = &q->features.list[i];
		struct admin_reply r;

		if (among(p->name, of_backup, ARRAY_LEN(of_backup)))
			continue;
		r = admin_call("admin.vm.feature.Set", p->name, q->name, p->value);
		settings_warn(q, p->name, &r);
	}
	for (size_t i = 0; i < q->tags.n; i++) {
		const char *tag = q->tags.list[i].name;
		struct admin_reply r;

		/* Who made it is another here; the other two follow from properties. */
		if (strncmp(tag, "created-by-", 11) == 0 || strncmp(tag, "guivm-", 6) == 0 ||
		    strncmp(tag, "audiovm-", 8) == 0 || strcmp(tag, IN_PROGRESS) == 0)
			continue;
		r = admin_call("admin.vm.tag.Set", tag, q->name, NULL);
		settings_warn(q, tag, &r);
	}
}

/* KEY='VALUE', as devices are described. */
static void add_pair(struct text_list *words, const char *prefix, const char *key,
                     const char *value)
{
	char *quoted = arena_alloc(2 * strlen(value) + 1), *p = quoted;

	for (; *value; value++) {
		if (*value == '\'')
			*p++ = '\\';
		*p++ = *value;
	}
	*p = '\0';
	text_list_add(words, arena_printf("%s%s='%s'", prefix, key, quoted));
}

/* BACKEND+PORT+IDENTITY; "_" is any, ":" is written as "+". */
static const char *device_name(const char *backend, const struct plan_device *d)
{
	char *identity = arena_dup(strcmp(d->identity, "*") == 0 ? "_" : d->identity);
	size_t len = strlen(identity);

	for (char *p = identity; *p; p++) {
		if (*p == ':')
			*p = '+';
	}
	if (len >= 7 && strcmp(identity + len - 7, "?******") == 0)
		memcpy(identity + len - 7, "_______", 7);
	return arena_printf("%s+%s+%s", *backend ? backend : "_",
	                    strcmp(d->port, "*") == 0 ? "_" : d->port, identity);
}

static void assign(const struct plan *plan, const struct plan_qube *q, const struct plan_device *d)
{
	const char *backend = renamed(plan, d->backend);
	struct text_list words = {0};
	struct admin_reply r;

	add_pair(&words, "", "device_id", d->identity);
	add_pair(&words, "", "port_id", d->port);
	add_pair(&words, "", "devclass", d->class);
	add_pair(&words, "", "backend_domain", backend);
	add_pair(&words, "", "mode", d->mode);
	add_pair(&words, "", "frontend_domain", q->name);
	for (size_t i = 0; i < d->options.n; i++)
		add_pair(&words, "_", d->options.list[i].name, d->options.list[i].value);
	r = admin_call(arena_printf("admin.vm.device.%s.Assign", d->class), device_name(backend, d),
	               q->name, text_list_join(&words, " "));
	settings_warn(q, arena_printf("device %s of %s", d->port, backend), &r);
}

void settings_links(const struct plan *plan, const struct plan_qube *q)
{
	put_properties(plan, q);
	for (size_t i = 0; i < q->n_devices; i++)
		assign(plan, q, &q->devices[i]);
}

void settings_file(const struct plan_qube *q, const char *file, const char *data, size_t len)
{
	struct admin_reply r = {0};
	char *rules;

	if (strcmp(file, "notes.txt") == 0) {
		r = admin_call_bytes("admin.vm.notes.Set", NULL, q->name, data, len);
	} else if (strcmp(file, "firewall.xml") == 0) {
		rules = plan_firewall(data, len);
		if (!rules)
			(void)complain("%s: its firewall rules are not such a file", q->name);
		else
			r = admin_call("admin.vm.firewall.Set", NULL, q->name, rules);
		free(rules);
	}
	settings_warn(q, file, &r);
}
