/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-remove: where the service refuses because a qube is used, it says by whom. */
#include <string.h>

#include "tools/qvm/qvm.h"

enum { ALL = ARG_OWN, EXCLUDE, FORCE, VMNAME };

static const struct arg table[] = {
        ARGS_COMMON,
        [ALL] = ARG_ROW_ALL,
        [EXCLUDE] = ARG_ROW_EXCLUDE,
        [FORCE] = {ARG_FLAG, {"--force", "-f"}, .help = "do not ask"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

static const struct args_program program = {"qvm-remove",
                                            "Remove qubes and all that is stored in them.", NULL,
                                            table};

/* Whose value is this qube? One request after the other, as recorded. */
static const char *reference(const char *method, const char *property, const char *qube)
{
	struct admin_reply reply = admin_call(method, property, qube, NULL);
	struct property value;

	if (reply.error || !property_decode(reply.content, &value))
		return NULL;
	return value.value;
}

#define GETS_OF_A_REFERENCE                                                                        \
	3 /* there is one, what it is, what it is called: the original asks each time */

static bool refers(const char *user, const char *property, const char *qube)
{
	const char *value = NULL;

	for (int i = 0; i < GETS_OF_A_REFERENCE; i++) {
		value = reference("admin.vm.property.Get", property, user);
		if (!value)
			return false;
	}
	return strcmp(value, qube) == 0;
}

static void add_users(const struct qubes *qubes, const char *name, struct text_list *uses,
                      struct text_list *users)
{
	static const char *const properties[] = {"template", "netvm",          "guivm",
	                                         "audiovm",  "default_dispvm", "management_dispvm"};

	for (size_t i = 0; i < qubes->n; i++) {
		const char *user = qubes->items[i].name;

		if (strcmp(user, name) == 0)
			continue;
		(void)reference("admin.vm.property.Get", "is_preload", user);
		for (size_t j = 0; j < ARRAY_LEN(properties); j++) {
			if (!refers(user, properties[j], name))
				continue;
			text_list_add(uses, arena_printf(" - %s for %s\n", properties[j], user));
			if (!text_list_has(users, user))
				text_list_add(users, user);
		}
	}
}

/* Every property of the system and of the other qubes that may name a qube. */
static void tell_uses(const struct qubes *qubes, const char *name)
{
	static const char *const properties[] = {"default_dispvm",   "default_netvm",
	                                         "default_guivm",    "default_audiovm",
	                                         "default_template", "clockvm",
	                                         "updatevm",         "management_dispvm"};
	struct text_list uses = {0}, users = {0}, system = {0};

	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		const char *value = reference("admin.property.Get", properties[i], "dom0");

		if (value && strcmp(value, name) == 0)
			text_list_add(&system,
			              arena_printf(" - global property %s\n", properties[i]));
	}
	add_users(qubes, name, &uses, &users);
	/* Preloaded disposables go by themselves, so the original asks those once more. */
	for (size_t i = 0; i < users.n; i++)
		(void)reference("admin.vm.property.Get", "is_preload", users.items[i]);
	if (uses.n + system.n)
		err_printf("VM %s cannot be removed. It is in use as:\n%s%s", name,
		           text_list_join(&uses, ""), text_list_join(&system, ""));
}

static bool may_remove(const struct args *args, const struct qube_list *list)
{
	if (args_has(args, FORCE))
		return true;
	err_printf("This will completely remove the selected VM(s)...\n");
	for (size_t i = 0; i < list->n; i++)
		out_printf("  %s\n", list->items[i]->name);
	if (confirm())
		return true;
	err_printf("Remove cancelled.\n");
	return false;
}

int qvm_remove_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	struct qubes qubes;
	struct qube_list list;

	if (!args->given[VMNAME].n && !args_has(args, ALL))
		args_error(&program, "one of VMNAME and --all is required");
	qubes = qubes_or_fail(&program);
	list = qubes_named(args, &qubes, VMNAME, ALL, EXCLUDE);
	for (size_t i = 0; i < list.n; i++) {
		if (is_dom0(list.items[i])) {
			err_printf("Domain 'dom0' cannot be removed.\n");
			return 1;
		}
	}
	if (!may_remove(args, &list))
		return 1;
	for (size_t i = 0; i < list.n; i++) {
		struct admin_reply reply =
		        admin_call("admin.vm.Remove", NULL, list.items[i]->name, NULL);

		if (admin_error_is(&reply, ADMIN_ERROR_IN_USE))
			tell_uses(&qubes, list.items[i]->name);
		if (reply.error)
			fail_reply(&program, &reply);
	}
	return 0;
}
