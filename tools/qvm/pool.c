/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-pool */
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/qvm.h"

static const char *const actions[] = {"drivers", "d",      "list", "l",  "ls",  "info", "i", "add",
                                      "a",       "remove", "r",    "rm", "set", "s",    NULL};

enum { ACTION = ARG_OWN };
static const struct arg table[] = {
        ARGS_COMMON,
        [ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                    .help = "drivers, list (the default), info, add, remove, set; each has --help"},
        {ARG_END},
};
static const struct args_program program = {"qvm-pool", "List, make and remove storage pools.",
                                            NULL, table};

enum { OPTION = ARG_OWN, POOL, DRIVER };
#define ROW_OPTION                                                                                 \
	[OPTION] = {ARG_VALUE,                                                                     \
	            {"--option", "-o"},                                                            \
	            .metavar = "OPTION=VALUE",                                                     \
	            .help = "option of the pool; more than one may be given"}

static const struct arg plain_table[] = {ARGS_COMMON, {ARG_END}};
static const struct arg many_table[] = {ARGS_COMMON,
                                        [OPTION] = {ARG_ABSENT},
                                        [POOL] = {ARG_ANY, .metavar = "POOL_NAME",
                                                  .help = "name of a pool"},
                                        {ARG_END}};
static const struct arg add_table[] = {
        ARGS_COMMON,
        ROW_OPTION,
        [POOL] = {ARG_ONE, .metavar = "POOL_NAME", .help = "name of the new pool"},
        [DRIVER] = {ARG_ONE, .metavar = "DRIVER", .help = "driver; 'qvm-pool drivers' lists them"},
        {ARG_END}};
static const struct arg set_table[] = {ARGS_COMMON,
                                       ROW_OPTION,
                                       [POOL] = {ARG_ONE, .metavar = "POOL_NAME",
                                                 .help = "name of the pool"},
                                       {ARG_END}};

static struct text_list lines_of(const char *method, const char *argument)
{
	return text_list_lines(call_or_fail(&program, method, argument, "dom0", NULL).content);
}

static int drivers(const struct args *args)
{
	struct text_list lines = lines_of("admin.pool.ListDrivers", NULL);
	static const char *const keys[] = {"driver", "options"};
	struct table shown = table_new(2, keys);
	const char **cells = table_row(&shown);

	(void)args;
	cells[0] = "DRIVER";
	cells[1] = "OPTIONS";
	shown.heading = true;
	text_list_sort(&lines);
	for (size_t i = 0; i < lines.n; i++) {
		size_t len = strcspn(lines.items[i], " ");
		struct text_list options = {0};

		for (const char *p = lines.items[i] + len; *p;) {
			size_t n;

			p += strspn(p, " ");
			n = strcspn(p, " ");
			if (n)
				text_list_add(&options, arena_copy(p, n));
			p += n;
		}
		cells = table_row(&shown);
		cells[0] = arena_copy(lines.items[i], len);
		cells[1] = text_list_join(&options, ", ");
	}
	table_print(&shown);
	return 0;
}

static int list(const struct args *args)
{
	struct text_list pools = lines_of("admin.pool.List", NULL);
	struct admin_request *requests = arena_alloc((pools.n + 1) * sizeof(*requests));
	static const char *const keys[] = {"name", "driver"};
	struct table shown = table_new(2, keys);
	const char **cells = table_row(&shown);

	(void)args;
	cells[0] = "NAME";
	cells[1] = "DRIVER";
	shown.heading = true;
	for (size_t i = 0; i < pools.n; i++)
		requests[i] = (struct admin_request){.method = "admin.pool.Info",
		                                     .argument = pools.items[i],
		                                     .target = "dom0"};
	admin_call_all(requests, pools.n);
	for (size_t i = 0; i < pools.n; i++) {
		const char *driver = lines_field(requests[i].reply.content, "driver");

		if (requests[i].reply.error)
			fail_reply(&program, &requests[i].reply);
		cells = table_row(&shown);
		cells[0] = pools.items[i];
		cells[1] = driver ? driver : "";
	}
	table_print(&shown);
	return 0;
}

/* Those that are named must exist. */
static void pools_check(const struct args *args)
{
	struct text_list pools = lines_of("admin.pool.List", NULL), missing = {0};

	for (size_t i = 0; i < args->given[POOL].n; i++)
		if (!text_list_has(&pools, args->given[POOL].items[i]))
			text_list_add(&missing, text_repr(args->given[POOL].items[i]));
	if (missing.n)
		args_error(&program, "No such pools: [%s]", text_list_join(&missing, ", "));
}

static int info(const struct args *args)
{
	pools_check(args);
	for (size_t i = 0; i < args->given[POOL].n; i++) {
		struct text_list lines = lines_of("admin.pool.Info", args->given[POOL].items[i]);
		struct table shown = table_new(2, NULL);
		const char **cells = table_row(&shown);

		cells[0] = "name";
		cells[1] = args->given[POOL].items[i];
		for (size_t j = 0; j < lines.n; j++) {
			size_t len = strcspn(lines.items[j], "=");

			if (strncmp(lines.items[j], "name=", 5) == 0 || !lines.items[j][len])
				continue;
			cells = table_row(&shown);
			cells[0] = arena_copy(lines.items[j], len);
			cells[1] = lines.items[j] + len + 1;
		}
		table_print(&shown);
	}
	return 0;
}

static void option_check(const struct args *args, const char *option)
{
	if (!strchr(option, '='))
		args_error(args->program, "argument --option/-o: expected OPTION=VALUE, no %s",
		           text_repr(option));
}

/* The original ends these messages with an empty line. */
static int change_failed(const struct admin_reply *reply, const char *doing, const char *pool)
{
	if (!reply->error)
		return 0;
	fail_trace(reply);
	fail(&program, "Failed to %s pool %s: %s\n", doing, pool, admin_error_shown(reply));
}

static int add(const struct args *args)
{
	const char *pool = args_value(args, POOL);
	struct text_list lines = {0};
	struct admin_reply reply;

	text_list_add(&lines, arena_printf("name=%s\n", pool));
	for (size_t i = 0; i < args->given[OPTION].n; i++) {
		option_check(args, args->given[OPTION].items[i]);
		text_list_add(&lines, arena_printf("%s\n", args->given[OPTION].items[i]));
	}
	reply = admin_call("admin.pool.Add", args_value(args, DRIVER), "dom0",
	                   text_list_join(&lines, ""));
	return change_failed(&reply, "add", pool);
}

static int removing(const struct args *args)
{
	for (size_t i = 0; i < args->given[POOL].n; i++) {
		const char *pool = args->given[POOL].items[i];
		struct admin_reply reply = admin_call("admin.pool.Remove", pool, "dom0", NULL);

		(void)change_failed(&reply, "remove", pool);
	}
	return 0;
}

static int set(const struct args *args)
{
	const char *pool = args_value(args, POOL);

	pools_check(args);
	for (size_t i = 0; i < args->given[OPTION].n; i++) {
		const char *option = args->given[OPTION].items[i], *equals = strchr(option, '=');
		struct admin_reply reply;

		option_check(args, option);
		reply = admin_call(arena_printf("admin.pool.Set.%.*s", (int)(equals - option),
		                                option),
		                   pool, "dom0", equals + 1);
		(void)change_failed(&reply, "set", pool);
	}
	return 0;
}

static const struct {
	const char *names[3], *description;
	const struct arg *table;
	int (*run)(const struct args *args);
} runs[] = {
        {{"drivers", "d"}, "List the drivers of pools and their options.", plain_table, drivers},
        {{"list", "l", "ls"}, "List pools.", plain_table, list},
        {{"info", "i"}, "Show pools.", many_table, info},
        {{"add", "a"}, "Make a pool.", add_table, add},
        {{"remove", "r", "rm"}, "Remove pools.", many_table, removing},
        {{"set", "s"}, "Change a pool.", set_table, set},
};

int qvm_pool_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	const char *action = args_has(args, ACTION) ? args->given[ACTION].items[0] : NULL;

	if (!action)
		return list(NULL);
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		for (size_t j = 0; j < ARRAY_LEN(runs[i].names) && runs[i].names[j]; j++) {
			struct args_program this = {arena_printf("qvm-pool %s", runs[i].names[0]),
			                            runs[i].description, NULL, runs[i].table};

			if (strcmp(runs[i].names[j], action) == 0)
				return runs[i].run(args_parse(&this, (int)args->given[ACTION].n - 1,
				                              args->given[ACTION].items + 1));
		}
	}
	return 1;
}
