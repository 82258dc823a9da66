/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-prefs and qubes-prefs: the same but for whose properties they show. */
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/qvm.h"

enum {
	HELP_PROPERTIES = ARG_OWN,
	HIDE_DEFAULT,
	GET,
	SET,
	DEFAULT,
	VMNAME,
};

#define PREFS_OPTIONS                                                                              \
	ARGS_COMMON,                                                                               \
	        [HELP_PROPERTIES] = {ARG_FLAG,                                                     \
	                             {"--help-properties"},                                        \
	                             .help = "list all properties with short help"},               \
	        [HIDE_DEFAULT] = {ARG_FLAG,                                                        \
	                          {"--hide-default"},                                              \
	                          .help = "do not show properties that have their default value"}, \
	        [GET] = {ARG_FLAG, {"--get", "-g"}, .help = "ignored, for old scripts"},           \
	        [SET] = {ARG_FLAG, {"--set", "-s"}, .help = "ignored, for old scripts"},           \
	        [DEFAULT] = {ARG_FLAG,                                                             \
	                     {"--default", "-D"},                                                  \
	                     .help = "give the property its default value"}

#define PROPERTY_ROW                                                                               \
	{                                                                                          \
		ARG_ONE_MAYBE, .metavar = "PROPERTY",                                              \
		               .help = "name of the property to show or change"                    \
	}
#define VALUE_ROW                                                                                  \
	{                                                                                          \
		ARG_ONE_MAYBE, .metavar = "VALUE", .help = "new value; none or '' for no value"    \
	}

static const struct arg qube_table[] = {
        PREFS_OPTIONS, [VMNAME] = ARG_ROW_VMNAME(ARG_ONE), PROPERTY_ROW, VALUE_ROW, {ARG_END},
};

static const struct arg system_table[] = {
        PREFS_OPTIONS,
        PROPERTY_ROW,
        VALUE_ROW,
        {ARG_END},
};

static const struct args_program qube_program = {
        "qvm-prefs", "Show or change the properties of a qube.",
        "Without a property all are listed: D is a default, - was set, U has no value.",
        qube_table};
static const struct args_program system_program = {
        "qubes-prefs", "Show or change the properties of the system.",
        "Without a property all are listed: D is a default, - was set, U has no value.",
        system_table};

/* Whose properties: methods begin so, requests go there. */
struct owner {
	const struct args_program *program;
	const char *prefix, *target;
};

static const char *method(const struct owner *owner, const char *name)
{
	return arena_printf("%s%s", owner->prefix, name);
}

static int compare_properties(const void *a, const void *b)
{
	return strcmp(((const struct property *)a)->name, ((const struct property *)b)->name);
}

/* A value as Python prints it. */
static const char *shown(const struct property *property)
{
	if (*property->value == '\0' && strcmp(property->type, "vm") == 0)
		return "None";
	return property->value;
}

/* An int or a label without a value has none at all; an empty text is a value. */
static bool is_unset(const struct property *property)
{
	return *property->value == '\0' &&
	       (strcmp(property->type, "int") == 0 || strcmp(property->type, "bool") == 0 ||
	        strcmp(property->type, "label") == 0);
}

/* The names are asked for apart from the values: a property that GetAll leaves out has no value. */
static int list_all(const struct owner *owner, bool hide_default)
{
	static const char *const keys[] = {"property", "origin", "value"};
	struct admin_reply names =
	        call_or_fail(owner->program, method(owner, "List"), NULL, owner->target, NULL);
	struct admin_reply values =
	        call_or_fail(owner->program, method(owner, "GetAll"), NULL, owner->target, NULL);
	struct text_list list = text_list_lines(names.content);
	struct properties all = properties_decode(values.content);
	struct property *sorted = arena_alloc((list.n + 1) * sizeof(*sorted));
	struct table table = table_new(3, keys);
	int width = 0;

	for (size_t i = 0; i < list.n; i++) {
		const struct property *found = properties_find(&all, list.items[i]);

		sorted[i] = found ? *found
		                  : (struct property){.name = list.items[i],
		                                      .type = "int",
		                                      .value = "",
		                                      .is_default = true};
		width = MAX(width, (int)out_width(list.items[i]));
	}
	if (list.n)
		qsort(sorted, list.n, sizeof(*sorted), compare_properties);
	for (size_t i = 0; i < list.n; i++) {
		const char **cells;

		if (hide_default && sorted[i].is_default && !is_unset(&sorted[i]))
			continue;
		cells = table_row(&table);
		cells[0] = arena_printf("%-*s", width, sorted[i].name);
		cells[1] = is_unset(&sorted[i]) ? "U" : sorted[i].is_default ? "D" : "-";
		cells[2] = is_unset(&sorted[i]) ? NULL : shown(&sorted[i]);
	}
	table_print(&table);
	return 0;
}

static NORETURN void no_such_property(const struct owner *owner, const char *name)
{
	args_error(owner->program, "no such property: %s", text_repr(name));
}

static int show_one(const struct owner *owner, const char *name)
{
	struct admin_reply reply = admin_call(method(owner, "Get"), name, owner->target, NULL);
	struct property property;

	if (admin_error_is(&reply, ADMIN_ERROR_NO_PROPERTY))
		no_such_property(owner, name);
	if (reply.error)
		fail_reply(owner->program, &reply);
	if (!property_decode(reply.content, &property))
		fail(owner->program, "the answer for %s has an unknown form", name);
	if (is_unset(&property)) {
		err_printf("AttributeError: %s\n", name);
		return 1;
	}
	out_printf("%s\n", shown(&property));
	return 0;
}

/* The original asks for the list of properties before it sets one of these, and never for the others. */
static bool is_attribute(const char *name)
{
	return strcmp(name, "name") == 0;
}

static int change(const struct owner *owner, const char *name, const char *value)
{
	struct admin_reply reply;

	if (value && is_attribute(name) && strcmp(owner->target, "dom0") != 0)
		(void)call_or_fail(owner->program, method(owner, "List"), NULL, owner->target,
		                   NULL);
	if (value && strcmp(value, "none") == 0)
		value = "";
	if (value && (strcmp(value, "None") == 0))
		value = "";
	reply = value ? admin_call(method(owner, "Set"), name, owner->target, value)
	              : admin_call(method(owner, "Reset"), name, owner->target, NULL);
	if (admin_error_is(&reply, ADMIN_ERROR_NO_PROPERTY))
		no_such_property(owner, name);
	if (reply.error)
		fail_reply(owner->program, &reply);
	return 0;
}

/* --help-properties */
static int help_properties(const struct owner *owner)
{
	struct admin_reply reply =
	        call_or_fail(owner->program, method(owner, "List"), NULL, owner->target, NULL);
	struct text_list names = text_list_lines(reply.content);
	struct admin_request *requests = arena_alloc((names.n + 1) * sizeof(*requests));
	struct table table = table_new(2, NULL);

	text_list_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		requests[i] = (struct admin_request){.method = method(owner, "Help"),
		                                     .argument = names.items[i],
		                                     .target = owner->target};
	admin_call_all(requests, names.n);
	for (size_t i = 0; i < names.n; i++) {
		const char **cells = table_row(&table);

		cells[0] = names.items[i];
		cells[1] = arena_copy(requests[i].reply.content,
		                      strcspn(requests[i].reply.content, "\n"));
	}
	table_print(&table);
	return 0;
}

static int run(const struct owner *owner, const struct args *args, int row)
{
	const char *name = args_value(args, row), *value = args_value(args, row + 1);

	if (args_has(args, HELP_PROPERTIES))
		return help_properties(owner);
	if (!name) {
		if (args_has(args, DEFAULT))
			args_error(owner->program, "--default needs the name of a property");
		return list_all(owner, args_has(args, HIDE_DEFAULT));
	}
	if (value && args_has(args, DEFAULT))
		args_error(owner->program, "--default and a value exclude each other");
	if (value || args_has(args, DEFAULT))
		return change(owner, name, value);
	return show_one(owner, name);
}

int qvm_prefs_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&qube_program, argc, argv);
	struct qubes qubes = qubes_or_fail(&qube_program);
	struct owner owner = {&qube_program, "admin.vm.property.",
	                      qube_named(args, &qubes, VMNAME)->name};

	return run(&owner, args, VMNAME + 1);
}

int qubes_prefs_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&system_program, argc, argv);
	struct owner owner = {&system_program, "admin.property.", "dom0"};

	return run(&owner, args, VMNAME);
}
