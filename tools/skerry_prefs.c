/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry prefs, get, set: properties of a qube, or of the system where the qube is "system". */
#include <stdlib.h>
#include <string.h>

#include "tools/skerry_admin.h"

#define SYSTEM "system"

/* Requests for the properties of a qube and of the system differ in this. */
static const char *method(const char *qube, const char *what)
{
	return arena_printf("admin.%sproperty.%s", strcmp(qube, SYSTEM) == 0 ? "" : "vm.", what);
}

static const char *target(const char *qube)
{
	return strcmp(qube, SYSTEM) == 0 ? "dom0" : qube;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct property *)a)->name, ((const struct property *)b)->name);
}

static void print_json(const struct property *property)
{
	bool number = strcmp(property->type, "int") == 0 && *property->value;
	bool boolean = strcmp(property->type, "bool") == 0 && *property->value;

	out_printf("{\"property\": %s, \"value\": %s, \"default\": %s, \"type\": %s}\n",
	           json_text(property->name),
	           boolean  ? strcmp(property->value, "True") == 0 ? "true" : "false"
	           : number ? property->value
	           : *property->value || strcmp(property->type, "str") == 0
	                   ? json_text(property->value)
	                   : "null",
	           property->is_default ? "true" : "false", json_text(property->type));
}

int skerry_prefs(int argc, char **argv, const struct skerry_options *options)
{
	struct admin_reply reply;
	struct properties all;
	size_t width = 0;

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	if (argc != 2)
		return skerry_usage("prefs");
	reply = admin_call(method(argv[1], "GetAll"), NULL, target(argv[1]), NULL);
	if (reply.error)
		return refused("prefs", argv[1], &reply);
	all = properties_decode(reply.content);
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), compare);
	for (size_t i = 0; i < all.n; i++)
		width = MAX(width, strlen(all.items[i].name));
	for (size_t i = 0; i < all.n; i++) {
		const struct property *property = &all.items[i];

		if (options->json) {
			print_json(property);
			continue;
		}
		/* What was set stands out; the rest is the default. */
		out_escape(skerry_style(options, property->is_default ? STYLE_FAINT : STYLE_BOLD));
		out_printf("%-*s  %s", (int)width, property->name,
		           *property->value ? property->value : "-");
		out_escape(skerry_style(options, STYLE_PLAIN));
		out_printf("%s\n", property->is_default || options->colour ? "" : "  (set)");
	}
	return SKERRY_DONE;
}

int skerry_get(int argc, char **argv, const struct skerry_options *options)
{
	struct admin_reply reply;
	struct property property;

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	if (argc != 3)
		return skerry_usage("get");
	reply = admin_call(method(argv[1], "Get"), argv[2], target(argv[1]), NULL);
	if (reply.error)
		return refused("get", argv[1], &reply);
	if (!property_decode(reply.content, &property))
		return refuse("get", argv[2], "the answer has an unknown form", NULL);
	property.name = argv[2];
	if (options->json)
		print_json(&property);
	else
		out_printf("%s\n", property.value);
	return SKERRY_DONE;
}

int skerry_set(int argc, char **argv, const struct skerry_options *options)
{
	bool to_default = false;
	const struct word_option table[] = {{"--default", NULL, &to_default}, {0}};
	struct admin_reply reply;

	(void)options;
	argc = words_take(argc, argv, table);
	if (argc != (to_default ? 3 : 4))
		return skerry_usage("set");
	reply = to_default ? admin_call(method(argv[1], "Reset"), argv[2], target(argv[1]), NULL)
	                   : admin_call(method(argv[1], "Set"), argv[2], target(argv[1]), argv[3]);
	return reply.error ? refused("set", argv[1], &reply) : SKERRY_DONE;
}
