/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry create, remove: a qube with its properties in one line; a half-made one is taken away again. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools/skerry_admin.h"

static int set_properties(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		struct admin_reply reply;
		const char *property = arena_copy(argv[i], (size_t)(equals - argv[i]));

		reply = admin_call("admin.vm.property.Set", property, name, equals + 1);
		if (!reply.error)
			continue;
		(void)refuse("create", arena_printf("%s: property '%s'", name, property),
		             reply.text, "the qube is not made");
		reply = admin_call("admin.vm.Remove", NULL, name, NULL);
		if (reply.error)
			(void)refused("create", name, &reply);
		return SKERRY_REFUSED;
	}
	return SKERRY_DONE;
}

int skerry_create(int argc, char **argv, const struct skerry_options *options)
{
	const char *class = NULL, *template = NULL, *label = "red", *pool = NULL;
	const struct word_option table[] = {{"--class", &class, NULL},
	                                    {"--template", &template, NULL},
	                                    {"--label", &label, NULL},
	                                    {"--pool", &pool, NULL},
	                                    {0}};
	struct admin_reply reply;
	int status;

	argc = words_take(argc, argv, table);
	if (argc < 2)
		return skerry_usage("create");
	for (int i = 2; i < argc; i++)
		if (!strchr(argv[i], '=')) {
			(void)refuse("create", argv[i], "is no PROPERTY=VALUE", NULL);
			return skerry_usage("create");
		}
	reply = admin_call(arena_printf("admin.vm.Create%s.%s", pool ? "InPool" : "",
	                                class ? class : "AppVM"),
	                   template, "dom0",
	                   arena_printf("name=%s label=%s%s%s", argv[1], label,
	                                pool ? " pool=" : "", pool ? pool : ""));
	if (reply.error)
		return refused("create", argv[1], &reply);
	status = set_properties(argv[1], argc, argv);
	if (status == SKERRY_DONE && options->json)
		out_printf("{\"name\": %s, \"created\": true}\n", json_text(argv[1]));
	return status;
}

/* A person is asked; a script has to say --yes. */
static bool may_remove(int argc, char **argv)
{
	char line[16];

	if (!isatty(STDIN_FILENO)) {
		(void)refuse("remove", "", "nobody is there to ask", "say --yes");
		return false;
	}
	for (int i = 1; i < argc; i++)
		err_printf("  %s\n", argv[i]);
	err_printf("Remove %s and all that is stored in %s? [y/N] ",
	           argc > 2 ? "these qubes" : "this qube", argc > 2 ? "them" : "it");
	return fgets(line, sizeof(line), stdin) && strncasecmp(line, "y", 1) == 0;
}

int skerry_remove(int argc, char **argv, const struct skerry_options *options)
{
	bool yes = false;
	const struct word_option table[] = {{"--yes", NULL, &yes}, {0}};
	struct qubes qubes;
	int status = 0;

	argc = words_take(argc, argv, table);
	if (argc < 2)
		return skerry_usage("remove");
	if (!qubes_get("remove", &qubes))
		return SKERRY_REFUSED;
	for (int i = 1; i < argc; i++)
		if (!qube_get("remove", &qubes, argv[i]))
			return SKERRY_REFUSED;
	if (!yes && !may_remove(argc, argv))
		return SKERRY_REFUSED;
	for (int i = 1; i < argc; i++) {
		struct admin_reply reply = admin_call("admin.vm.Remove", NULL, argv[i], NULL);

		if (reply.error)
			status = refused("remove", argv[i], &reply);
		else if (options->json)
			out_printf("{\"name\": %s, \"removed\": true}\n", json_text(argv[i]));
	}
	return status;
}
