/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-create */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/qvm/clone.h"
#include "tools/qvm/volume.h"

enum {
	CLASS = ARG_OWN,
	STANDALONE,
	DISP,
	PROPERTY,
	VOLUME_POOL,
	POOL,
	TEMPLATE,
	LABEL,
	HELP_CLASSES,
	ROOT_COPY,
	ROOT_MOVE,
	VMNAME
};

static const struct arg table[] = {
        ARGS_COMMON,
        [CLASS] = {ARG_VALUE,
                   {"--class", "-C"},
                   .metavar = "CLS",
                   .help = "class of the new qube (AppVM)"},
        [STANDALONE] = {ARG_FLAG,
                        {"--standalone"},
                        .help = "as --class StandaloneVM; with --template a copy of that template"},
        [DISP] = {ARG_FLAG, {"--disp"}, .help = "as --class DispVM --label red"},
        [PROPERTY] = {ARG_VALUE,
                      {"--property", "--prop"},
                      .metavar = "NAME=VALUE",
                      .help = "set a property; more than one may be given"},
        [VOLUME_POOL] = {ARG_VALUE,
                         {"--pool", "-p"},
                         .metavar = "VOLUME_NAME=POOL_NAME",
                         .help = "pool for a volume"},
        [POOL] = {ARG_VALUE, {"-P"}, .metavar = "POOL_NAME", .help = "pool for all volumes"},
        [TEMPLATE] = {ARG_VALUE,
                      {"--template", "-t"},
                      .metavar = "VALUE",
                      .help = "template of the new qube"},
        [LABEL] = {ARG_VALUE, {"--label", "-l"}, .metavar = "VALUE", .help = "label: its colour"},
        [HELP_CLASSES] = {ARG_FLAG, {"--help-classes"}, .help = "list the classes"},
        [ROOT_COPY] = {ARG_VALUE,
                       {"--root-copy-from", "-r"},
                       .metavar = "FILENAME",
                       .group = 1,
                       .help = "take the root volume from an image"},
        [ROOT_MOVE] = {ARG_VALUE,
                       {"--root-move-from", "-R"},
                       .metavar = "FILENAME",
                       .group = 1,
                       .help = "the same, and remove the image"},
        [VMNAME] = {ARG_ONE_MAYBE, .metavar = "VMNAME", .help = "name of the new qube"},
        {ARG_END},
};

static const struct args_program program = {"qvm-create", "Make a qube.", NULL, table};

static int help_classes(void)
{
	struct text_list classes = text_list_lines(
	        call_or_fail(&program, "admin.vmclass.List", NULL, "dom0", NULL).content);

	text_list_sort(&classes);
	for (size_t i = 0; i < classes.n; i++)
		out_printf("%s\n", classes.items[i]);
	return 0;
}

/* A label is checked before anything is made. */
static void label_check(const char *label)
{
	struct text_list labels = text_list_lines(
	        call_or_fail(&program, "admin.label.List", NULL, "dom0", NULL).content);

	if (!text_list_has(&labels, label))
		args_error(&program, "no such label: %s; available: %s", text_repr(label),
		           text_list_join(&labels, ", "));
}

static NORETURN void create_failed(const struct admin_reply *reply)
{
	fail_trace(reply);
	err_printf("app: Error creating VM: %s\n", admin_error_shown(reply));
	out_end(1);
}

static void create_new(const struct args *args, const char *class, const char *name,
                       const char *label)
{
	const char *pools = pools_text(args, POOL, VOLUME_POOL);
	struct admin_reply reply =
	        admin_call(arena_printf("admin.vm.Create%s.%s", *pools ? "InPool" : "", class),
	                   args_value(args, TEMPLATE), "dom0",
	                   arena_printf("name=%s label=%s%s", name, label, pools));

	if (reply.error)
		create_failed(&reply);
	(void)qubes_load();
}

/* A standalone qube from a template is a copy of it. */
static void create_copy(const struct args *args, const char *class, const char *name,
                        const char *label)
{
	struct qubes qubes = qubes_or_fail(&program);
	const char *template = args_value(args, TEMPLATE);
	struct clone clone = {.program = &program,
	                      .from = qubes_find(&qubes, template),
	                      .name = name,
	                      .class = class,
	                      .pools = pools_text(args, POOL, VOLUME_POOL),
	                      .quiet = args_has(args, ARG_QUIET)};
	struct admin_reply reply;

	if (!clone.from) {
		err_printf("app: Error creating VM: No such domain: '%s'\n", template);
		out_end(1);
	}
	reply = clone_make(&clone);
	if (reply.error)
		create_failed(&reply);
	reply = admin_call("admin.vm.property.Set", "label", name, label);
	if (reply.error)
		create_failed(&reply);
	clone_appmenus(&clone);
}

static struct text_list properties_given(const struct args *args)
{
	struct text_list list = {0};

	for (size_t i = 0; i < args->given[PROPERTY].n; i++) {
		const char *word = args->given[PROPERTY].items[i];

		if (!strchr(word, '='))
			args_error(&program, "invalid property token: %s", text_repr(word));
		text_list_add(&list, word);
	}
	return list;
}

/* One that cannot be set takes nothing back: the qube is there and can be corrected. */
static int set_properties(const char *name, const struct text_list *properties)
{
	int status = 0;

	for (size_t i = 0; i < properties->n; i++) {
		const char *equals = strchr(properties->items[i], '=');
		const char *property =
		        arena_copy(properties->items[i], (size_t)(equals - properties->items[i]));
		struct admin_reply reply =
		        admin_call("admin.vm.property.Set", property, name, equals + 1);

		if (!reply.error)
			continue;
		fail_trace(&reply);
		err_printf("app: Error setting property %s: %s\n", property,
		           admin_error_shown(&reply));
		status = 1;
	}
	return status;
}

static int set_root(const struct args *args, const char *name)
{
	const char *file = args_value(args, ROOT_COPY) ? args_value(args, ROOT_COPY)
	                                               : args_value(args, ROOT_MOVE);
	struct admin_reply reply;

	if (!file)
		return 0;
	reply = volume_import(name, "root", file, VOLUME_IMPORT_SIZE_OF_FILE);
	if (reply.error) {
		err_printf("app: Error importing root volume: %s; the qube is removed\n",
		           admin_error_shown(&reply));
		(void)admin_call("admin.vm.Remove", NULL, name, NULL);
		return 1;
	}
	if (args_has(args, ROOT_MOVE) && unlink(file)) {
		err_printf("%s: %m\n", file);
		return 1;
	}
	return 0;
}

int qvm_create_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	const char *class = args_value(args, CLASS), *label = args_value(args, LABEL);
	const char *name = args_value(args, VMNAME);
	struct text_list properties;
	int status;

	if (args_has(args, HELP_CLASSES))
		return help_classes();
	if (args_has(args, STANDALONE))
		class = "StandaloneVM";
	if (args_has(args, DISP)) {
		class = "DispVM";
		label = label ? label : "red";
	}
	if (!class)
		class = "AppVM";
	properties = properties_given(args);
	if (!label)
		args_error(&program, "--label option is mandatory");
	if (!name)
		args_error(&program, "VMNAME is mandatory");
	label_check(label);
	if (strcmp(class, "StandaloneVM") == 0 && args_has(args, TEMPLATE))
		create_copy(args, class, name, label);
	else
		create_new(args, class, name, label);
	status = set_root(args, name);
	return status ? status : set_properties(name, &properties);
}
