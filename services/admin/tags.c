/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tags: admin.vm.tag.*, and those that the service keeps itself. */
#include "services/admin/tags.h"

#include <string.h>

#include "services/admin/feature_methods.h"
#include "services/admin/property.h"

#define TAG_SET    SET_LETTERS SET_DIGITS "_-"
#define PROHIBITED "changing this tag is prohibited by qubes.ext.admin.AdminExtension"

void tag_put(struct qube *q, const char *tag)
{
	AUTO_TEXT event = {0};

	if (tag_has(q, tag))
		return;
	row_set(ROW_TAG, q, tag, "1");
	text_printf(&event, "domain-tag-add:%s", tag);
	event_fire(q, text_get(&event), "tag", tag, NULL);
}

void tag_drop(struct qube *q, const char *tag)
{
	AUTO_TEXT event = {0};
	AUTO_TEXT name = {0};

	if (!tag_has(q, tag))
		return;
	/* The caller's text may be the one that goes away. */
	text_puts(&name, tag);
	row_set(ROW_TAG, q, text_get(&name), NULL);
	text_printf(&event, "domain-tag-delete:%s", text_get(&name));
	event_fire(q, text_get(&event), "tag", text_get(&name), NULL);
}

void tag_follow(struct qube *q, const char *prefix, const struct qube *is)
{
	AUTO_TEXT tag = {0};
	size_t i = 0;

	text_printf(&tag, "%s%s", prefix, is ? is->name : "");
	while (i < q->n_tags) {
		if (text_starts(q->tags[i], prefix) && (!is || !text_equal(q->tags[i], tag.data)))
			tag_drop(q, q->tags[i]);
		else
			i++;
	}
	if (is)
		tag_put(q, tag.data);
}

static bool tag_name_ok(const char *tag)
{
	return tag[0] && request_safe(tag, TAG_SET) && strlen(tag) <= 128;
}

void tag_created_by(struct qube *q, struct qube *creator)
{
	const char *more = feature_get(creator, "tag-created-vm-with");
	const char *guivm = feature_get(creator, "set-created-guivm");
	AUTO_TEXT tag = {0};
	AUTO_TEXT list = {0};
	char *at, *word;
	struct fault ignored;

	text_printf(&tag, "created-by-%s", creator->name);
	tag_put(q, tag.data);
	text_puts(&list, more ? more : "");
	at = list.data;
	while ((word = strsep(&at, " ")))
		if (tag_name_ok(word))
			tag_put(q, word);
	/* A GUI domain that is not there any more leaves the default. */
	if (feature_true(guivm) && property_has(q, PROP_GUIVM) &&
	    !property_set(q, property_of(PROP_GUIVM), guivm, strlen(guivm), &ignored))
		return;
}

static bool check_tag(struct call *c)
{
	if (!c->arg[0])
		return fault_set(&c->fault, E_TAG, "tag cannot be empty");
	if (!tag_name_ok(c->arg))
		return fault_set(&c->fault, E_TAG, "disallowed characters");
	return true;
}

static bool may_change(struct call *c)
{
	if (text_starts(c->arg, "created-by-") && !call_from_dom0(c))
		return fault_set(&c->fault, E_DENIED, PROHIBITED);
	return true;
}

void method_tag_list(struct call *c)
{
	size_t i;

	for (i = 0; i < c->dest->n_tags; i++)
		text_printf(&c->reply, "%s\n", c->dest->tags[i]);
}

void method_tag_get(struct call *c)
{
	if (check_tag(c))
		text_char(&c->reply, tag_has(c->dest, c->arg) ? '1' : '0');
}

void method_tag_set(struct call *c)
{
	struct qube *creator;

	if (!check_tag(c) || !may_change(c) || tag_has(c->dest, c->arg))
		return;
	if (c->dest->n_tags >= TAGS_MAX) {
		call_refuse(c, E_VALUE, "%s has as many tags as a qube may have", c->dest->name);
		return;
	}
	if (text_starts(c->arg, "created-by-")) {
		creator = qube_by_name(c->arg + strlen("created-by-"));
		if (!creator)
			call_refuse(c, E_NOT_FOUND, "No such domain: '%s'",
			            c->arg + strlen("created-by-"));
		else
			tag_created_by(c->dest, creator);
		return;
	}
	tag_put(c->dest, c->arg);
}

void method_tag_remove(struct call *c)
{
	if (!check_tag(c) || !may_change(c))
		return;
	if (tag_has(c->dest, c->arg))
		tag_drop(c->dest, c->arg);
	else
		call_refuse(c, E_TAG_NOT_FOUND, "Tag not set for domain %s: %s", c->dest->name,
		            c->arg);
}
