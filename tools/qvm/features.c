/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-features; and qvm-service, whose services are the features "service.NAME". */
#include <string.h>

#include "tools/qvm/qvm.h"

#define SERVICE_PREFIX "service."

enum { F_UNSET = ARG_OWN, F_VMNAME, F_FEATURE, F_VALUE };

static const struct arg features_table[] = {
        ARGS_COMMON,
        [F_UNSET] = {ARG_FLAG, {"--unset", "--default", "-D"}, .help = "remove the feature"},
        [F_VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        [F_FEATURE] = {ARG_ONE_MAYBE, .metavar = "FEATURE", .help = "name of the feature"},
        [F_VALUE] = {ARG_ONE_MAYBE, .metavar = "VALUE", .help = "new value"},
        {ARG_END},
};
static const struct args_program features_program = {"qvm-features",
                                                     "Show and set features of a qube.", NULL,
                                                     features_table};

enum { S_ENABLE = ARG_OWN, S_DISABLE, S_DEFAULT, S_LIST, S_VMNAME, S_SERVICE, S_VALUE };

static const struct arg service_table[] = {
        ARGS_COMMON,
        [S_ENABLE] = {ARG_FLAG, {"--enable", "-e"}, .group = 1, .help = "switch the service on"},
        [S_DISABLE] = {ARG_FLAG, {"--disable", "-d"}, .group = 1, .help = "switch the service off"},
        [S_DEFAULT] = {ARG_FLAG,
                       {"--default", "--unset", "-D"},
                       .group = 1,
                       .help = "let the qube decide"},
        [S_LIST] = {ARG_FLAG, {"--list", "-l"}, .help = "list the services; the default"},
        [S_VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        [S_SERVICE] = {ARG_ONE_MAYBE, .metavar = "SERVICE", .help = "name of the service"},
        [S_VALUE] = {ARG_ONE_MAYBE, .metavar = "VALUE", .help = "on or off"},
        {ARG_END},
};
static const struct args_program service_program = {"qvm-service", "Switch services of a qube.",
                                                    NULL, service_table};

static const char *on_off(const char *value)
{
	return *value ? "on" : "off";
}

/* All features whose name begins so, without that beginning. */
static int list(const struct args_program *program, const char *qube, const char *prefix)
{
	struct text_list names = text_list_lines(
	        call_or_fail(program, "admin.vm.feature.List", NULL, qube, NULL).content);
	struct admin_request *requests = arena_alloc((names.n + 1) * sizeof(*requests));
	struct table table = table_new(2, NULL);
	size_t n = 0;

	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.items[i], prefix, strlen(prefix)) == 0)
			requests[n++] = (struct admin_request){.method = "admin.vm.feature.Get",
			                                       .argument = names.items[i],
			                                       .target = qube};
	admin_call_all(requests, n);
	for (size_t i = 0; i < n; i++) {
		const char **cells;

		if (admin_error_is(&requests[i].reply, ADMIN_ERROR_NO_FEATURE))
			continue; /* gone since */
		if (requests[i].reply.error)
			fail_reply(program, &requests[i].reply);
		cells = table_row(&table);
		cells[0] = requests[i].argument + strlen(prefix);
		cells[1] = *prefix ? on_off(requests[i].reply.content) : requests[i].reply.content;
	}
	table_print(&table);
	return 0;
}

static int show(const struct args_program *program, const char *qube, const char *name,
                bool service)
{
	struct admin_reply reply = admin_call("admin.vm.feature.Get", name, qube, NULL);

	if (admin_error_is(&reply, ADMIN_ERROR_NO_FEATURE))
		return 1;
	if (reply.error)
		fail_reply(program, &reply);
	out_printf("%s\n", service ? on_off(reply.content) : reply.content);
	return 0;
}

static int unset(const struct args_program *program, const char *qube, const char *name)
{
	struct admin_reply reply = admin_call("admin.vm.feature.Remove", name, qube, NULL);

	if (reply.error && !admin_error_is(&reply, ADMIN_ERROR_NO_FEATURE))
		fail_reply(program, &reply);
	return 0;
}

static int set(const struct args_program *program, const char *qube, const char *name,
               const char *value)
{
	(void)call_or_fail(program, "admin.vm.feature.Set", name, qube, value);
	return 0;
}

int qvm_features_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&features_program, argc, argv);
	struct qubes qubes = qubes_or_fail(&features_program);
	const char *qube = qube_named(args, &qubes, F_VMNAME)->name;
	const char *name = args_value(args, F_FEATURE), *value = args_value(args, F_VALUE);

	if (args_has(args, F_UNSET)) {
		if (!name)
			args_error(&features_program, "--unset requires a feature");
		if (value)
			args_error(&features_program, "--unset and a value exclude each other");
		return unset(&features_program, qube, name);
	}
	if (!name)
		return list(&features_program, qube, "");
	return value ? set(&features_program, qube, name, value)
	             : show(&features_program, qube, name, false);
}

int qvm_service_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&service_program, argc, argv);
	struct qubes qubes = qubes_or_fail(&service_program);
	const char *qube = qube_named(args, &qubes, S_VMNAME)->name;
	const char *service = args_value(args, S_SERVICE), *value = args_value(args, S_VALUE),
	           *name;
	bool change = args_has(args, S_ENABLE) || args_has(args, S_DISABLE),
	     on = args_has(args, S_ENABLE);

	if (!service) {
		if (change || args_has(args, S_DEFAULT))
			args_error(&service_program, "which service?");
		return list(&service_program, qube, SERVICE_PREFIX);
	}
	name = arena_printf(SERVICE_PREFIX "%s", service);
	if (args_has(args, S_DEFAULT))
		return unset(&service_program, qube, name);
	if (value && !change) {
		if (!bool_parse(value, &on))
			fail(&service_program, "Invalid literal for boolean value: %s",
			     text_repr(value));
		change = true;
	}
	return change ? set(&service_program, qube, name, on ? "1" : "")
	              : show(&service_program, qube, name, true);
}
