/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/qubes.h"

#include <stdlib.h>
#include <string.h>

/* A copy of the value behind "KEY=" at the start of a piece that ends before one of @ends. */
static const char *field_find(const char *text, const char *key, const char *ends)
{
	size_t len = strlen(key);

	while (*text) {
		size_t piece = strcspn(text, ends);

		if (piece > len && memcmp(text, key, len) == 0 && text[len] == '=')
			return arena_copy(text + len + 1, piece - len - 1);
		text += piece + (text[piece] != '\0');
	}
	return NULL;
}

const char *words_field(const char *line, const char *key)
{
	return field_find(line, key, " \n");
}

const char *lines_field(const char *text, const char *key)
{
	return field_find(text, key, "\n");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct qube *)a)->name, ((const struct qube *)b)->name);
}

static struct qube qube_decode(const char *line)
{
	const char *class = words_field(line, "class");
	const char *state = words_field(line, "state");
	const char *uuid = words_field(line, "uuid");

	return (struct qube){.name = arena_copy(line, strcspn(line, " ")),
	                     .class = class ? class : "",
	                     .state = state ? state : "NA",
	                     .uuid = uuid ? uuid : ""};
}

struct qubes qubes_load(void)
{
	struct qubes qubes = {.reply = admin_call("admin.vm.List", NULL, "dom0", NULL)};
	struct text_list lines = text_list_lines(qubes.reply.content);

	qubes.items = arena_alloc((lines.n + 1) * sizeof(*qubes.items));
	for (size_t i = 0; i < lines.n; i++)
		qubes.items[qubes.n++] = qube_decode(lines.items[i]);
	qsort(qubes.items, qubes.n, sizeof(*qubes.items), compare_names);
	return qubes;
}

struct qube *qubes_find(const struct qubes *qubes, const char *name)
{
	struct qube key = {.name = name};

	return qubes->n ? bsearch(&key, qubes->items, qubes->n, sizeof(key), compare_names) : NULL;
}

/* Undoes "\n" and "\\" of GetAll in place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1]) {
			text++;
			*to++ = *text == 'n' ? '\n' : *text;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

bool property_decode(const char *text, struct property *ret)
{
	const char *type;

	*ret = (struct property){.value = "", .type = "", .name = ""};
	if (strncmp(text, "default=", 8) != 0)
		return false;
	ret->is_default = text[8] == 'T';
	type = strstr(text, " type=");
	if (!type)
		return false;
	type += 6;
	ret->type = arena_copy(type, strcspn(type, " "));
	type += strlen(ret->type);
	ret->value = arena_dup(*type == ' ' ? type + 1 : type);
	return true;
}

struct properties properties_decode(const char *text)
{
	struct text_list lines = text_list_lines(text);
	struct properties all = {.items = arena_alloc((lines.n + 1) * sizeof(*all.items))};

	for (size_t i = 0; i < lines.n; i++) {
		size_t len = strcspn(lines.items[i], " ");
		char *value;

		if (!lines.items[i][len] ||
		    !property_decode(lines.items[i] + len + 1, &all.items[all.n]))
			continue;
		value = arena_dup(all.items[all.n].value);
		unescape(value);
		all.items[all.n].value = value;
		all.items[all.n++].name = arena_copy(lines.items[i], len);
	}
	return all;
}

const struct property *properties_find(const struct properties *properties, const char *name)
{
	for (size_t i = 0; properties && i < properties->n; i++)
		if (strcmp(properties->items[i].name, name) == 0)
			return &properties->items[i];
	return NULL;
}

void qube_properties_take(struct qube *qube, const struct admin_reply *reply)
{
	qube->properties = reply->content;
	qube->refused = reply->error != NULL;
}

static int compare_pointers(const void *a, const void *b)
{
	return strcmp((*(struct qube *const *)a)->name, (*(struct qube *const *)b)->name);
}

bool qube_properties_table(struct qube **qubes, size_t n, const char *names)
{
	struct qube **sorted = arena_alloc((n + 1) * sizeof(struct qube *));
	struct admin_reply reply;
	const char *at, *next;

	if (n < 2 || !admin_in_dom0())
		return false;
	reply = admin_call_internal("internal.vm.property.Table", NULL, "dom0", names);
	if (reply.error)
		return false;
	memcpy(sorted, qubes, n * sizeof(struct qube *));
	qsort(sorted, n, sizeof(struct qube *), compare_pointers);
	for (at = reply.content; *at == '@'; at = next) {
		size_t len = strcspn(at, "\n");
		struct qube key = {.name = arena_copy(at + 1, len - (len > 0))}, *name = &key;
		struct qube **found =
		        bsearch(&name, sorted, n, sizeof(struct qube *), compare_pointers);
		const char *lines = at + len + (at[len] == '\n');

		next = *lines == '@' ? lines : strstr(lines, "\n@");
		next = !next ? lines + strlen(lines) : next + (*next == '\n');
		if (!found)
			continue;
		(*found)->properties = arena_copy(lines, (size_t)(next - lines));
		(*found)->some = names;
	}
	return true;
}

void qube_properties_load(struct qube **qubes, size_t n, const char *names)
{
	struct admin_request *requests;

	if (qube_properties_table(qubes, n, names))
		return;
	requests = arena_alloc((n + 1) * sizeof(*requests));
	for (size_t i = 0; i < n; i++)
		requests[i] = (struct admin_request){.method = "admin.vm.property.GetAll",
		                                     .target = qubes[i]->name};
	admin_call_all(requests, n);
	for (size_t i = 0; i < n; i++)
		qube_properties_take(qubes[i], &requests[i].reply);
}

/* The line of a property behind its name; NULL: there is none. A listing looks at few of many lines, so
   they stay as they came. */
static const char *property_line(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text && *text) {
		if (strncmp(text, name, len) == 0 && text[len] == ' ')
			return arena_copy(text + len + 1, strcspn(text + len + 1, "\n"));
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

static bool is_line_of(const char *lines, const char *name)
{
	size_t len = strlen(name);

	while (*lines) {
		size_t line = strcspn(lines, "\n");

		if (line == len && memcmp(lines, name, len) == 0)
			return true;
		lines += line + (lines[line] == '\n');
	}
	return false;
}

const char *qube_property(struct qube *qube, const char *name)
{
	struct admin_reply reply;
	struct property property;
	const char *line;
	char *value;

	if (!qube->properties || (qube->some && !is_line_of(qube->some, name))) {
		qube->some = NULL;
		reply = admin_call("admin.vm.property.GetAll", NULL, qube->name, NULL);
		qube_properties_take(qube, &reply);
	}
	if (qube->refused) {
		reply = admin_call("admin.vm.property.Get", name, qube->name, NULL);
		return !reply.error && property_decode(reply.content, &property) && *property.value
		               ? property.value
		               : NULL;
	}
	line = property_line(qube->properties, name);
	if (!line || !property_decode(line, &property) || !*property.value)
		return NULL;
	value = arena_dup(property.value);
	unescape(value);
	return value;
}

void qube_take_current(struct qube *qube, const struct admin_reply *reply)
{
	const char *state = words_field(reply->content, "power_state");
	const char *memory = words_field(reply->content, "mem");

	qube->power = state ? state : "NA";
	qube->memory_kib = memory ? strtoll(memory, NULL, 10) : 0;
}
