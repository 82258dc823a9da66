/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-device, and qvm-block, qvm-pci, qvm-usb, which are qvm-device with the class already said. */
#include <string.h>

#include "tools/qvm/device.h"

static const char *const actions[] = {"list",   "ls",   "l", "attach", "at", "a",
                                      "detach", "dt",   "d", "assign", "s",  "unassign",
                                      "u",      "info", "i", NULL};

enum { LIST_CLASSES = ARG_OWN, CLASS, CLASS_ACTION };
enum { ACTION = ARG_OWN };

static const struct arg any_table[] = {
        ARGS_COMMON,
        [LIST_CLASSES] = {ARG_FLAG,
                          {"--list-device-classes"},
                          .help = "list the classes of devices"},
        [CLASS] = {ARG_ONE, .metavar = "DEVICE_CLASS",
                   .help = "class of the devices: block, pci, usb, mic …"},
        [CLASS_ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                          .help = "list (the default), attach, detach, assign, unassign, info; "
                                  "each has --help"},
        {ARG_END},
};

/* Where one option is all there is. */
static const struct arg options_table[] = {
        ARGS_COMMON,
        [LIST_CLASSES] = {ARG_FLAG,
                          {"--list-device-classes"},
                          .help = "list the classes of devices"},
        [CLASS] = {ARG_ONE_MAYBE, .metavar = "DEVICE_CLASS", .help = "class of the devices"},
        {ARG_END},
};

static const struct arg class_table[] = {
        ARGS_COMMON,
        [ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                    .help = "list (the default), attach, detach, assign, unassign, info; each has "
                            "--help"},
        {ARG_END},
};

/* A class's command at work. */
struct context {
	const struct args_program *program;
	const char *class;
	struct qubes qubes;
};

enum { LIST_ALL = ARG_OWN, LIST_EXCLUDE, LIST_ASSIGNMENTS, LIST_SBDF, LIST_VMNAME };

static const struct arg list_table[] = {
        ARGS_COMMON,
        [LIST_ALL] = {ARG_FLAG, {"--all"}, .help = "devices of all qubes; the default"},
        [LIST_EXCLUDE] = ARG_ROW_EXCLUDE,
        [LIST_ASSIGNMENTS] = {ARG_FLAG, {"--assignments", "-s"}, .help = "show assignments too"},
        [LIST_SBDF] = {ARG_FLAG,
                       {"--with-sbdf", "--resolve-paths"},
                       .help = "PCI: show the address of each device"},
        [LIST_VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

enum {
	CHANGE_OPTION = ARG_OWN,
	CHANGE_RO,
	CHANGE_REQUIRED,
	CHANGE_ASK,
	CHANGE_PORT,
	CHANGE_DEVICE_ID,
	CHANGE_VMNAME,
	CHANGE_DEVICE
};

#define ROW_OPTION                                                                                 \
	[CHANGE_OPTION] = {ARG_VALUE,                                                              \
	                   {"--option", "-o"},                                                     \
	                   .metavar = "NAME=VALUE",                                                \
	                   .help = "option of the class; more than one may be given"}
#define ROW_RO   [CHANGE_RO] = {ARG_FLAG, {"--ro"}, .help = "read-only; as -o read-only=yes"}
#define ROW_PORT [CHANGE_PORT] = {ARG_FLAG, {"--port"}, .help = "whatever is at this port"}
#define ROW_DEVICE_ID                                                                              \
	[CHANGE_DEVICE_ID] = {ARG_FLAG, {"--device"}, .help = "this device at any port"}
#define ROW_NONE(row) [row] = {ARG_ABSENT}
#define ROW_VMNAME    [CHANGE_VMNAME] = ARG_ROW_VMNAME(ARG_ONE)
#define DEVICE_HELP   "BACKEND:PORT, or BACKEND:PORT:ID to be sure what is there"

static const struct arg attach_table[] = {
        ARGS_COMMON,
        ROW_OPTION,
        ROW_RO,
        ROW_NONE(CHANGE_REQUIRED),
        ROW_NONE(CHANGE_ASK),
        ROW_NONE(CHANGE_PORT),
        ROW_NONE(CHANGE_DEVICE_ID),
        ROW_VMNAME,
        [CHANGE_DEVICE] = {ARG_ONE, .metavar = "DEVICE", .help = DEVICE_HELP},
        {ARG_END},
};

static const struct arg assign_table[] = {
        ARGS_COMMON,
        ROW_OPTION,
        ROW_RO,
        [CHANGE_REQUIRED] = {ARG_FLAG,
                             {"--required", "-r"},
                             .group = 1,
                             .help = "the qube does not start without it"},
        [CHANGE_ASK] = {ARG_FLAG,
                        {"--ask-to-attach", "--ask"},
                        .group = 1,
                        .help = "ask before it is attached"},
        ROW_PORT,
        ROW_DEVICE_ID,
        ROW_VMNAME,
        [CHANGE_DEVICE] = {ARG_ONE, .metavar = "DEVICE", .help = DEVICE_HELP},
        {ARG_END},
};

static const struct arg remove_table[] = {
        ARGS_COMMON,
        ROW_NONE(CHANGE_OPTION),
        ROW_NONE(CHANGE_RO),
        ROW_NONE(CHANGE_REQUIRED),
        ROW_NONE(CHANGE_ASK),
        ROW_PORT,
        ROW_DEVICE_ID,
        ROW_VMNAME,
        [CHANGE_DEVICE] = {ARG_ONE_MAYBE, .metavar = "DEVICE",
                           .help = "BACKEND:PORT; without it all of them"},
        {ARG_END},
};

enum { INFO_DEVICE = ARG_OWN };
static const struct arg info_table[] = {
        ARGS_COMMON,
        [INFO_DEVICE] = {ARG_ONE, .metavar = "DEVICE", .help = DEVICE_HELP},
        {ARG_END},
};

static struct args *parse(const struct context *context, const char *action,
                          const char *description, const struct arg *table, int argc,
                          const char *const *argv)
{
	struct args_program *program = arena_alloc(sizeof(*program));

	*program = (struct args_program){arena_printf("%s %s", context->program->name, action),
	                                 description, NULL, table};
	return args_parse(program, argc, argv);
}

static int error(const char *text)
{
	err_printf("Error: %s\n", text);
	return 1;
}

static int error_reply(const struct admin_reply *reply)
{
	fail_trace(reply);
	return error(admin_error_shown(reply));
}

static int list(struct context *context, int argc, const char *const *argv)
{
	const struct args *args = parse(context, "list", "List devices.", list_table, argc, argv);
	struct device_list_options options = {.class = context->class,
	                                      .assignments = args_has(args, LIST_ASSIGNMENTS),
	                                      .sbdf = args_has(args, LIST_SBDF)};
	struct qube_list only;

	context->qubes = qubes_or_fail(context->program);
	if (args->given[LIST_VMNAME].n) {
		only = qubes_named(args, &context->qubes, LIST_VMNAME, -1, -1);
		options.only = &only;
	}
	return device_list(context->program, &context->qubes, &options);
}

/*
 * The device that "BACKEND:PORT[:ID]" means. Where the backend does not offer it, ret->id is "*", and
 * false is returned.
 */
static bool device_named(const struct context *context, const char *text, struct device *ret)
{
	const char *colon = strchr(text, ':'), *id = colon ? strchr(colon + 1, ':') : NULL;
	const struct device *found;
	struct devices devices;

	if (!colon || colon == text || !colon[1])
		args_error(context->program,
		           "expected a backend qube, port id and [optional] device id "
		           "like \"foo:bar[:baz]\", got: %s",
		           text_repr(text));
	*ret = (struct device){.class = context->class,
	                       .backend = arena_copy(text, (size_t)(colon - text)),
	                       .port = id ? arena_copy(colon + 1, (size_t)(id - colon - 1))
	                                  : colon + 1,
	                       .id = id ? id + 1 : "*",
	                       .interfaces = ""};
	if (!qubes_find(&context->qubes, ret->backend))
		args_error(context->program, "no such backend vm: %s", text_repr(ret->backend));
	devices = devices_load(context->class, "Available", ret->backend, NULL);
	if (devices.reply.error)
		fail_reply(context->program, &devices.reply);
	found = device_find(&devices, ret->port);
	if (!found || (id && strcmp(found->id, id + 1) != 0))
		return false;
	*ret = *found;
	return true;
}

static const char *not_exposed(const struct context *context, const struct device *device)
{
	return arena_printf("backend vm %s doesn't expose %s device '%s'", device->backend,
	                    context->class, device->port);
}

static struct text_list options_of(const struct args *args)
{
	struct text_list options = {0};

	for (size_t i = 0; i < args->given[CHANGE_OPTION].n; i++) {
		const char *option = args->given[CHANGE_OPTION].items[i];

		if (!strchr(option, '='))
			args_error(args->program,
			           "argument --option/-o: expected NAME=VALUE, no %s",
			           text_repr(option));
		text_list_add(&options, option);
	}
	if (args_has(args, CHANGE_RO))
		text_list_add(&options, "read-only=yes");
	return options;
}

static const char *method(const struct context *context, const char *action)
{
	return arena_printf("admin.vm.device.%s.%s", context->class, action);
}

static int attach(struct context *context, int argc, const char *const *argv)
{
	const struct args *args = parse(context, "attach", "Attach a device to a qube that runs.",
	                                attach_table, argc, argv);
	struct text_list options = options_of(args);
	struct admin_reply reply;
	struct device device;
	struct qube *qube;

	context->qubes = qubes_or_fail(context->program);
	qube = qube_named(args, &context->qubes, CHANGE_VMNAME);
	if (!device_named(context, args_value(args, CHANGE_DEVICE), &device))
		fail(context->program, "%s", not_exposed(context, &device));
	if (strcmp(context->class, "pci") == 0)
		return error("PCI devices cannot be attached manually, did you mean "
		             "`qvm-pci assign --required ...`");
	reply = admin_call(method(context, "Attach"), device_argument(&device), qube->name,
	                   device_payload(&device, "manual", qube->name, &options));
	return reply.error ? error_reply(&reply) : 0;
}

/* Port and identity as far as --port and --device leave them. */
static void device_widen(const struct args *args, struct device *device)
{
	if (args_has(args, CHANGE_PORT))
		device->id = "*";
	if (args_has(args, CHANGE_DEVICE_ID))
		device->port = "*";
}

static bool is_attached(const struct context *context, const struct qube *qube,
                        const struct device *device)
{
	struct devices attached = devices_load(context->class, "Attached", qube->name, NULL);

	return device_find(&attached, device->port) != NULL;
}

static const char *assign_mode(const struct context *context, const struct args *args)
{
	bool pci = strcmp(context->class, "pci") == 0;

	if (pci && !args_has(args, CHANGE_REQUIRED)) {
		(void)error("PCI devices cannot be assigned as not required.");
		return NULL;
	}
	if (args_has(args, CHANGE_REQUIRED) && !pci && strcmp(context->class, "block") != 0) {
		(void)error("Only pci and block devices can be assigned as required.");
		return NULL;
	}
	return args_has(args, CHANGE_REQUIRED) ? "required"
	       : args_has(args, CHANGE_ASK)    ? "ask-to-attach"
	                                       : "auto-attach";
}

static int assign(struct context *context, int argc, const char *const *argv)
{
	const struct args *args =
	        parse(context, "assign",
	              "Have a device attached whenever it is there and the qube runs.",
	              assign_table, argc, argv);
	struct text_list options = options_of(args);
	struct device device, wanted;
	struct admin_reply reply;
	const char *mode, *denied;
	struct qube *qube;

	context->qubes = qubes_or_fail(context->program);
	qube = qube_named(args, &context->qubes, CHANGE_VMNAME);
	if (!device_named(context, args_value(args, CHANGE_DEVICE), &device))
		return error(not_exposed(context, &device));
	mode = assign_mode(context, args);
	if (!mode)
		return 1;
	wanted = device;
	device_widen(args, &wanted);
	reply = admin_call(method(context, "Assign"), device_argument(&wanted), qube->name,
	                   device_payload(&wanted, mode, qube->name, &options));
	if (reply.error)
		return error_reply(&reply);
	denied = qube_property(qube, "devices_denied");
	if (denied && device_is_denied(&device, denied))
		out_text("Warning: The assigned device is on the denied list.\n"
		         "           Auto-attach will work, but make sure that the assignment is "
		         "correct.\n");
	if (strcmp(qube->state, "Halted") != 0 && !is_attached(context, qube, &device))
		out_printf("Assigned. To attach you can now restart domain or run: \n"
		           "\tqvm-%s attach %s %s:%s\n",
		           context->class, qube->name, device.backend, device.port);
	return 0;
}

static int detach_one(struct context *context, const struct qube *qube, const struct device *device)
{
	struct admin_reply reply =
	        admin_call(method(context, "Detach"), device_argument(device), qube->name, NULL);

	return reply.error ? error_reply(&reply) : 0;
}

static int unassign_one(struct context *context, const struct qube *qube,
                        const struct device *device, const char *port)
{
	struct admin_reply reply =
	        admin_call(method(context, "Unassign"), device_argument(device), qube->name, NULL);
	struct device at_port = *device;

	if (reply.error)
		return error_reply(&reply);
	at_port.port = port;
	if (is_attached(context, qube, &at_port))
		out_printf("Unassigned. To detach you can now restart domain or run: \n"
		           " \tqvm-%s detach %s %s:%s\n",
		           context->class, qube->name, device->backend, port);
	return 0;
}

static int take_away(struct context *context, const struct args *args, bool detach)
{
	const char *text = args_value(args, CHANGE_DEVICE), *port;
	struct device device;
	struct devices all;
	struct qube *qube;
	int status = 0;

	context->qubes = qubes_or_fail(context->program);
	qube = qube_named(args, &context->qubes, CHANGE_VMNAME);
	if (text) {
		(void)device_named(context, text, &device);
		port = device.port;
		device_widen(args, &device);
		return detach ? detach_one(context, qube, &device)
		              : unassign_one(context, qube, &device, port);
	}
	all = devices_load(context->class, detach ? "Attached" : "Assigned", qube->name, NULL);
	if (all.reply.error)
		fail_reply(context->program, &all.reply);
	for (size_t i = 0; i < all.n; i++)
		status |= detach ? detach_one(context, qube, &all.items[i])
		                 : unassign_one(context, qube, &all.items[i], all.items[i].port);
	return status;
}

static int detach(struct context *context, int argc, const char *const *argv)
{
	return take_away(context,
	                 parse(context, "detach", "Take a device from a qube.", remove_table, argc,
	                       argv),
	                 true);
}

static int unassign(struct context *context, int argc, const char *const *argv)
{
	return take_away(context,
	                 parse(context, "unassign", "End an assignment.", remove_table, argc, argv),
	                 false);
}

static int info(struct context *context, int argc, const char *const *argv)
{
	const struct args *args = parse(context, "info", "Show a device.", info_table, argc, argv);
	struct device device;

	context->qubes = qubes_or_fail(context->program);
	if (!device_named(context, args_value(args, INFO_DEVICE), &device))
		fail(context->program, "%s", not_exposed(context, &device));
	out_printf("%s\ndevice ID: %s\n", device_description(&device), device.id);
	return 0;
}

static const struct {
	const char *names[3];
	int (*run)(struct context *context, int argc, const char *const *argv);
} runs[] = {
        {{"list", "ls", "l"}, list},     {{"attach", "at", "a"}, attach},
        {{"detach", "dt", "d"}, detach}, {{"assign", "s"}, assign},
        {{"unassign", "u"}, unassign},   {{"info", "i"}, info},
};

static int run(struct context *context, const struct arg_given *words)
{
	const char *action = words->n ? words->items[0] : "list";
	int n = words->n ? (int)words->n - 1 : 0;

	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		for (size_t j = 0; j < ARRAY_LEN(runs[i].names) && runs[i].names[j]; j++)
			if (strcmp(runs[i].names[j], action) == 0)
				return runs[i].run(context, n, words->n ? words->items + 1 : NULL);
	return 1;
}

/* Without a command the devices are listed, whatever options follow. */
static int run_class(const char *class, int argc, const char *const *argv)
{
	struct args_program program = {arena_printf("qvm-%s", class),
	                               "List, attach and assign devices.", NULL, class_table};
	struct context context = {.program = &program, .class = class};

	return run(&context, &args_parse(&program, argc, argv)->given[ACTION]);
}

int qvm_block_run(int argc, const char *const *argv)
{
	return run_class("block", argc, argv);
}

int qvm_pci_run(int argc, const char *const *argv)
{
	return run_class("pci", argc, argv);
}

int qvm_usb_run(int argc, const char *const *argv)
{
	return run_class("usb", argc, argv);
}

int qvm_device_run(int argc, const char *const *argv)
{
	static const struct args_program program = {"qvm-device",
	                                            "List, attach and assign devices.", NULL,
	                                            any_table};
	static const struct args_program short_program = {"qvm-device",
	                                                  "List, attach and assign devices.", NULL,
	                                                  options_table};
	struct context context = {.program = &program};
	const struct args *args;
	struct text_list classes;

	/* One option alone needs no class. */
	args = args_parse(argc == 1 && *argv[0] == '-' ? &short_program : &program, argc, argv);
	if (args_has(args, LIST_CLASSES)) {
		classes = text_list_lines(
		        call_or_fail(&program, "admin.deviceclass.List", NULL, "dom0", NULL)
		                .content);
		text_list_sort(&classes);
		for (size_t i = 0; i < classes.n; i++)
			out_printf("%s\n", classes.items[i]);
		return 0;
	}
	context.class = args_value(args, CLASS);
	if (!context.class)
		args_error(&program, "the following arguments are required: DEVICE_CLASS");
	return run(&context, &args->given[CLASS_ACTION]);
}
