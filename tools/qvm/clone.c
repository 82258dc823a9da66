/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What makes a copy of a qube, request by request in the original's order; and qvm-clone. */
#include "tools/qvm/clone.h"

#include <stdlib.h>
#include <string.h>

#include "tools/qvm/device.h"
#include "tools/qvm/firewall_rule.h"
#include "tools/qvm/child.h"

static const struct admin_reply fine = {.content = ""};

/* An error that --ignore-errors does not pass over. */
static bool stops(const struct clone *clone, const struct admin_reply *reply)
{
	if (!reply->error)
		return false;
	if (clone->ignore_errors)
		err_printf("%s: %s\n", clone->name, admin_error_shown(reply));
	return !clone->ignore_errors;
}

static struct admin_reply get(const struct clone *clone, const char *what)
{
	return admin_call("admin.vm.property.Get", what, clone->from->name, NULL);
}

static struct admin_reply create(const struct clone *clone)
{
	struct admin_reply reply = get(clone, "template"), label_reply;
	struct property template = {.value = ""}, label = {.value = ""};
	const char *class = clone->class ? clone->class : clone->from->class;
	bool has_template = strcmp(class, "AppVM") == 0 || strcmp(class, "DispVM") == 0;

	if (!reply.error)
		(void)property_decode(reply.content, &template);
	label_reply = get(clone, "label");
	if (label_reply.error)
		return label_reply;
	(void)property_decode(label_reply.content, &label);
	return admin_call(
	        arena_printf("admin.vm.Create%s.%s", *clone->pools ? "InPool" : "", class),
	        has_template ? template.value : NULL, "dom0",
	        arena_printf("name=%s label=%s%s", clone->name, label.value, clone->pools));
}

/* Those that are not defaults; the original asks for a value again when it copies it. */
static struct admin_reply copy_properties(const struct clone *clone)
{
	static const char *const own[] = {"name",  "qid",     "uuid", "installed_by_rpm",
	                                  "label", "template"};
	struct admin_reply reply =
	        admin_call("admin.vm.property.List", NULL, clone->from->name, NULL);
	struct text_list names = text_list_lines(reply.content);

	for (size_t i = 0; i < names.n && !reply.error; i++) {
		struct property property;
		bool skip = false;

		for (size_t j = 0; j < ARRAY_LEN(own); j++)
			skip = skip || strcmp(own[j], names.items[i]) == 0;
		if (skip)
			continue;
		reply = get(clone, names.items[i]);
		if (stops(clone, &reply))
			return reply;
		if (reply.error || !property_decode(reply.content, &property) ||
		    property.is_default) {
			reply = fine;
			continue;
		}
		reply = get(clone, names.items[i]);
		if (!reply.error)
			reply = admin_call("admin.vm.property.Set", names.items[i], clone->name,
			                   property.value);
		if (stops(clone, &reply))
			return reply;
		reply = fine;
	}
	return reply;
}

static struct admin_reply copy_tags(const struct clone *clone)
{
	struct admin_reply reply = admin_call("admin.vm.tag.List", NULL, clone->from->name, NULL);
	struct text_list tags = text_list_lines(reply.content);

	for (size_t i = 0; i < tags.n && !stops(clone, &reply); i++)
		if (strncmp(tags.items[i], "created-by-", 11) != 0)
			reply = admin_call("admin.vm.tag.Set", tags.items[i], clone->name, NULL);
	return reply;
}

static struct admin_reply copy_features(const struct clone *clone)
{
	struct admin_reply reply =
	        admin_call("admin.vm.feature.List", NULL, clone->from->name, NULL);
	struct text_list names = text_list_lines(reply.content);

	for (size_t i = 0; i < names.n && !stops(clone, &reply); i++) {
		reply = admin_call("admin.vm.feature.Get", names.items[i], clone->from->name, NULL);
		if (!reply.error)
			reply = admin_call("admin.vm.feature.Set", names.items[i], clone->name,
			                   reply.content);
	}
	return reply;
}

static struct admin_reply copy_notes(const struct clone *clone)
{
	struct admin_reply reply = admin_call("admin.vm.notes.Get", NULL, clone->from->name, NULL);

	if (reply.error || !*reply.content)
		return reply;
	return admin_call("admin.vm.notes.Set", NULL, clone->name, reply.content);
}

static struct admin_reply copy_firewall(const struct clone *clone)
{
	struct admin_reply reply =
	        admin_call("admin.vm.firewall.Get", NULL, clone->from->name, NULL);
	struct rules rules = rules_decode(reply.content);

	if (reply.error)
		return reply;
	return admin_call("admin.vm.firewall.Set", NULL, clone->name, rules_encode(&rules));
}

/* The private volume of a template is its own, a qube made from the template has an empty one. */
static bool volume_is_copied(const struct clone *clone, const char *volume, const char *info)
{
	const char *saved = lines_field(info, "save_on_stop");
	bool from_template = strcmp(clone->from->class, "TemplateVM") == 0;
	bool to_template = !clone->class || strcmp(clone->class, "TemplateVM") == 0;

	if (!saved || strcmp(saved, "True") != 0)
		return false;
	return strcmp(volume, "private") != 0 || !from_template || to_template;
}

static struct admin_reply copy_volume(const struct clone *clone, const char *volume)
{
	struct admin_reply reply;

	if (!clone->quiet)
		err_printf("%s: Cloning %s volume\n", clone->name, volume);
	reply = admin_call("admin.vm.volume.CloneFrom", volume, clone->from->name, NULL);
	if (reply.error)
		return reply;
	return admin_call("admin.vm.volume.CloneTo", volume, clone->name, reply.content);
}

static struct admin_reply copy_volumes(const struct clone *clone)
{
	struct admin_reply reply = admin_call("admin.vm.volume.List", NULL, clone->name, NULL);
	struct text_list volumes = text_list_lines(reply.content), from = {0};
	bool asked = false;

	text_list_sort(&volumes);
	for (size_t i = 0; i < volumes.n && !stops(clone, &reply); i++) {
		reply = admin_call("admin.vm.volume.Info", volumes.items[i], clone->name, NULL);
		if (reply.error || !volume_is_copied(clone, volumes.items[i], reply.content))
			continue;
		if (!asked) {
			reply = admin_call("admin.vm.volume.List", NULL, clone->from->name, NULL);
			from = text_list_lines(reply.content);
			asked = true;
		}
		if (!reply.error && text_list_has(&from, volumes.items[i]))
			reply = copy_volume(clone, volumes.items[i]);
	}
	return reply;
}

static struct admin_reply copy_devices(const struct clone *clone)
{
	struct admin_reply reply = admin_call("admin.deviceclass.List", NULL, "dom0", NULL);
	struct text_list classes = text_list_lines(reply.content);

	text_list_sort(&classes);
	for (size_t i = 0; i < classes.n && !stops(clone, &reply); i++) {
		struct devices assigned =
		        devices_load(classes.items[i], "Assigned", clone->from->name, NULL);

		reply = assigned.reply;
		for (size_t j = 0; j < assigned.n && !stops(clone, &reply); j++) {
			const struct device *device = &assigned.items[j];

			reply = admin_call(
			        arena_printf("admin.vm.device.%s.Assign", classes.items[i]),
			        device_argument(device), clone->name,
			        device_payload(device, device->mode ? device->mode : "manual",
			                       clone->name, &device->options));
		}
	}
	return reply;
}

struct admin_reply clone_make(const struct clone *clone)
{
	static struct admin_reply (*const steps[])(const struct clone *clone) = {
	        copy_properties, copy_tags,    copy_features, copy_notes,
	        copy_firewall,   copy_volumes, copy_devices,
	};
	struct admin_reply reply = create(clone);

	if (reply.error)
		return reply;
	(void)qubes_load(); /* the original looks whether it is there */
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		reply = steps[i](clone);
		if (stops(clone, &reply)) {
			(void)admin_call("admin.vm.Remove", NULL, clone->name, NULL);
			return reply;
		}
	}
	return fine;
}

void clone_appmenus(const struct clone *clone)
{
	const char *const argv[] = {"qvm-appmenus",    "--init",    "--update", "--source",
	                            clone->from->name, clone->name, NULL};
	pid_t pid = child_start(argv, (const int[]){-1, -1, -1});

	if (pid > 0 && child_status(pid) != 0)
		err_printf("%s: the application menus were not made\n", clone->name);
}

const char *pools_text(const struct args *args, int pool_row, int volume_row)
{
	const char *pool = args_value(args, pool_row);
	struct text_list words = {0};

	if (pool)
		return arena_printf(" pool=%s", pool);
	for (size_t i = 0; i < args->given[volume_row].n; i++) {
		const char *word = args->given[volume_row].items[i];

		if (!strchr(word, '='))
			args_error(args->program, "argument %s: expected VOLUME=POOL, no %s",
			           args_row_name(&args->program->table[volume_row]),
			           text_repr(word));
		text_list_add(&words, arena_printf(" pool:%s", word));
	}
	return text_list_join(&words, "");
}

enum { CLASS = ARG_OWN, IGNORE_ERRORS, POOL, VOLUME_POOL, VMNAME, NEWVM };

static const struct arg table[] = {
        ARGS_COMMON,
        [CLASS] = {ARG_VALUE, {"--class", "-C"}, .metavar = "CLS", .help = "class of the copy"},
        [IGNORE_ERRORS] = {ARG_FLAG,
                           {"--ignore-errors"},
                           .help = "go on where something cannot be copied"},
        [POOL] = {ARG_VALUE, {"-P"}, .metavar = "POOL", .group = 1, .help = "pool for all volumes"},
        [VOLUME_POOL] = {ARG_VALUE,
                         {"-p", "--pool"},
                         .metavar = "VOLUME=POOL",
                         .group = 1,
                         .help = "pool for a volume"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        [NEWVM] = {ARG_ONE, .metavar = "NEWVM", .help = "name of the copy"},
        {ARG_END},
};

static const struct args_program program = {"qvm-clone", "Make a copy of a qube.", NULL, table};

int qvm_clone_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	struct clone clone = {.program = &program,
	                      .name = args_value(args, NEWVM),
	                      .class = args_value(args, CLASS),
	                      .pools = pools_text(args, POOL, VOLUME_POOL),
	                      .quiet = args_has(args, ARG_QUIET),
	                      .ignore_errors = args_has(args, IGNORE_ERRORS)};
	struct qubes qubes = qubes_or_fail(&program);
	struct admin_reply reply;

	clone.from = qube_named(args, &qubes, VMNAME);
	reply = clone_make(&clone);
	if (reply.error)
		fail_reply(&program, &reply);
	clone_appmenus(&clone);
	return 0;
}
