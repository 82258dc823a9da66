/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a backup says of the system in XML: the store as the original writes it, and firewall rules. */
#include <inttypes.h>
#include <string.h>

#include "lib/untrusted/text.h"
#include "services/admin/backup_internal.h"
#include "services/admin/firewall_rule.h"
#include "services/admin/property.h"

/* Text of an element or of an attribute; what XML has no way to say becomes "_". */
static void put_xml(struct text *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text), at = 0;

	while (at < len) {
		uint32_t code = 0;
		size_t n = utf8_decode(p + at, len - at, &code);

		if (n == 0 || (code < ' ' && code != '\n' && code != '\t') ||
		    (code >= 0x7f && code < 0xa0))
			text_char(out, '_');
		else if (code == '&')
			text_puts(out, "&amp;");
		else if (code == '<')
			text_puts(out, "&lt;");
		else if (code == '>')
			text_puts(out, "&gt;");
		else if (code == '"')
			text_puts(out, "&quot;");
		else
			text_add(out, p + at, n);
		at += n ? n : 1;
	}
}

static void put_attribute(struct text *out, const char *name, const char *value)
{
	text_printf(out, " %s=\"", name);
	put_xml(out, value);
	text_char(out, '"');
}

/* <WHAT name="NAME">VALUE</WHAT> */
static void put_named(struct text *out, const char *what, const char *name, const char *value)
{
	text_printf(out, "<%s", what);
	put_attribute(out, "name", name);
	text_char(out, '>');
	put_xml(out, value);
	text_printf(out, "</%s>\n", what);
}

static const char *truth(bool is)
{
	return is ? "True" : "False";
}

static void put_properties(struct text *out, const struct qube *q)
{
	size_t n;
	const struct property *table = property_table(&n);

	text_puts(out, "<properties>\n");
	for (size_t i = 0; i < n; i++) {
		const struct property *p = &table[i];
		AUTO_TEXT value = {0};

		if (!(p->classes & CLASS_BIT(q->klass)) || (p->flags & PROP_READ_ONLY))
			continue;
		if (p->flags & PROP_FIXED ? q->klass == CLASS_ADMIN : !q->values[p->id])
			continue;
		if (property_read(q, p->id, &value))
			put_named(out, "property", p->name, text_get(&value));
	}
	text_puts(out, "</properties>\n");
}

/* Which disposables stand ready is of this moment; what an older backup said of itself is not true now. */
static bool feature_left_out(const char *name)
{
	return (text_starts(name, "preload-dispvm") && !text_equal(name, "preload-dispvm-max")) ||
	       text_equal(name, "backup-content") || text_equal(name, "backup-path") ||
	       text_equal(name, "backup-size") || text_equal(name, "backup-files");
}

static void put_features(struct text *out, const struct qube *q, const struct saved *s)
{
	AUTO_TEXT path = {0};
	AUTO_TEXT size = {0};
	const char *where;

	text_puts(out, "<features>\n");
	for (size_t i = 0; i < q->n_features; i++)
		if (!feature_left_out(q->features[i].name))
			put_named(out, "feature", q->features[i].name, q->features[i].value);
	put_named(out, "feature", "backup-content", s ? "1" : "");
	if (s) {
		if (q->klass == CLASS_ADMIN)
			text_puts(&path, backup_home(&where));
		else
			text_printf(&path, "vm%u/", q->qid);
		text_printf(&size, "%" PRIu64, s->size);
		put_named(out, "feature", "backup-path", text_get(&path));
		put_named(out, "feature", "backup-size", text_get(&size));
		/* Ours: what must be there, so that the end of an archive cannot be cut off unseen. */
		if (q->firewall || q->notes)
			put_named(out, "feature", "backup-files",
			          !q->notes      ? "firewall.xml"
			          : !q->firewall ? "notes.txt"
			                         : "firewall.xml notes.txt");
	}
	text_puts(out, "</features>\n<tags>\n");
	for (size_t i = 0; i < q->n_tags; i++) {
		text_puts(out, "<tag");
		put_attribute(out, "name", q->tags[i]);
		text_puts(out, "/>\n");
	}
	text_puts(out, "</tags>\n");
}

static void put_device(struct text *out, const struct assignment *a)
{
	text_puts(out, "<device");
	put_attribute(out, "backend-domain", a->backend);
	put_attribute(out, "id", a->port);
	put_attribute(out, "mode", mode_name(a->mode));
	put_attribute(out, "identity", a->identity);
	text_puts(out, ">\n");
	for (size_t i = 0; i < a->n_options; i++)
		put_named(out, "option", a->options[i].name, a->options[i].value);
	text_puts(out, "</device>\n");
}

static void put_devices(struct text *out, const struct qube *q)
{
	static const char *const classes[] = {"pci", "block", "usb", "mic"};

	for (size_t k = 0; k < ARRAY_LEN(classes); k++) {
		text_printf(out, "<devices class=\"%s\">\n", classes[k]);
		for (size_t i = 0; i < q->n_assigned; i++)
			if (text_equal(q->assigned[i]->devclass, classes[k]))
				put_device(out, q->assigned[i]);
		text_puts(out, "</devices>\n");
	}
}

static void put_volume(struct text *out, const struct volume *v)
{
	text_puts(out, "<volume");
	put_attribute(out, "name", v->name);
	put_attribute(out, "pool", v->pool);
	put_attribute(out, "vid", v->vid);
	text_printf(out, " revisions_to_keep=\"%" PRId64 "\" rw=\"%s\"", v->revisions_to_keep,
	            truth(v->rw));
	text_printf(out, " save_on_stop=\"%s\" snap_on_start=\"%s\"", truth(v->save_on_stop),
	            truth(v->snap_on_start));
	if (v->size)
		text_printf(out, " size=\"%" PRIu64 "\"", v->size);
	if (v->source[0])
		put_attribute(out, "source", v->source);
	if (v->ephemeral)
		text_puts(out, " ephemeral=\"True\"");
	text_puts(out, "/>\n");
}

static void put_domain(struct text *out, const struct qube *q, const struct saved *s)
{
	text_printf(out, "<domain id=\"domain-%u\" class=\"%s\">\n", q->qid, class_name(q->klass));
	put_properties(out, q);
	put_features(out, q, s);
	put_devices(out, q);
	if (q->n_volumes > 0)
		text_puts(out, "<volume-config>\n");
	for (size_t i = 0; i < q->n_volumes; i++)
		put_volume(out, q->volumes[i]);
	if (q->n_volumes > 0)
		text_puts(out, "</volume-config>\n");
	text_puts(out, "</domain>\n");
}

static void put_system(struct text *out)
{
	text_puts(out, "<labels>\n");
	for (size_t i = 0; i < world.n_labels; i++) {
		text_printf(out, "<label id=\"label-%u\" color=\"0x%06x\">", world.labels[i]->index,
		            world.labels[i]->colour);
		put_xml(out, world.labels[i]->name);
		text_puts(out, "</label>\n");
	}
	text_puts(out, "</labels>\n<pools>\n");
	for (size_t i = 0; i < world.n_pools; i++) {
		const struct pool *p = world.pools[i];

		text_puts(out, "<pool");
		put_attribute(out, "name", p->name);
		put_attribute(out, "driver", p->driver);
		for (size_t k = 0; k < p->n_config; k++)
			put_attribute(out, p->config[k].name, p->config[k].value);
		text_puts(out, "/>\n");
	}
	text_puts(out, "</pools>\n");
	put_properties(out, world.system);
}

void backup_store(const struct saved *list, size_t n, struct text *out)
{
	text_puts(out, "<?xml version='1.0' encoding='UTF-8'?>\n<qubes>\n");
	put_system(out);
	text_puts(out, "<domains>\n");
	for (size_t i = 0; i < world.n_qubes; i++)
		put_domain(out, world.qubes[i], backup_find(list, n, world.qubes[i]));
	text_puts(out, "</domains>\n</qubes>\n");
}

/* KEY=VALUE words; a comment goes to the end of the line. */
static void put_rule(struct text *out, char *line)
{
	char *at = line;

	text_puts(out, "<rule>\n<properties>\n");
	while (at && *at) {
		char *word = strncmp(at, "comment=", 8) == 0 ? at : strsep(&at, " ");
		char *value = strchr(word, '=');

		if (word == at)
			at = NULL;
		if (!value)
			continue;
		*value = '\0';
		put_named(out, "property", word, value + 1);
	}
	text_puts(out, "</properties>\n</rule>\n");
}

void backup_firewall(const struct qube *q, struct text *out)
{
	AUTO_TEXT copy = {0};
	char *at, *line;

	text_puts(&copy, q->firewall);
	at = copy.data;
	text_puts(out, "<firewall version=\"2\">\n<rules>\n");
	while ((line = strsep(&at, "\n")))
		if (line[0])
			put_rule(out, line);
	text_puts(out, "</rules>\n</firewall>\n");
}
