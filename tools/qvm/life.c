/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-shutdown, qvm-kill, qvm-pause, qvm-unpause. */
#include <string.h>

#include "tools/qvm/qvm.h"

/* Rows that these commands have alike; VMNAME is the last. */
enum {
	ALL = ARG_OWN,
	EXCLUDE,
	SUSPEND,
	WAIT = SUSPEND,
	UNPAUSE_VMNAME = SUSPEND,
	PAUSE_VMNAME,
	TIMEOUT = PAUSE_VMNAME,
	FORCE,
	DRY_RUN,
	SHUTDOWN_VMNAME
};

#define ROWS_ALL ARGS_COMMON, [ALL] = ARG_ROW_ALL, [EXCLUDE] = ARG_ROW_EXCLUDE

static const struct arg shutdown_table[] = {
        ROWS_ALL,
        [WAIT] = {ARG_FLAG, {"--wait"}, .help = "wait until the qubes are halted"},
        [TIMEOUT] = {ARG_VALUE,
                     {"--timeout"},
                     .metavar = "TIMEOUT",
                     .help = "taken for old scripts: property shutdown_timeout of the qube counts"},
        [FORCE] = {ARG_FLAG,
                   {"--force"},
                   .help = "also where other qubes use the qube; --all implies it"},
        [DRY_RUN] = {ARG_FLAG, {"--dry-run"}, .help = "only say what would be shut down"},
        [SHUTDOWN_VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

static const struct arg kill_table[] = {
        ROWS_ALL, [UNPAUSE_VMNAME] = ARG_ROW_VMNAME(ARG_ANY), {ARG_END}};

static const struct arg pause_table[] = {
        ROWS_ALL,
        [SUSPEND] = {ARG_FLAG, {"--suspend"}, .help = "suspend qubes that can, pause the others"},
        [PAUSE_VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

static const struct args_program shutdown_program = {
        "qvm-shutdown", "Shut qubes down.",
        "A qube that does not end within its shutdown_timeout is killed with --wait.",
        shutdown_table};
static const struct args_program kill_program = {"qvm-kill",
                                                 "End qubes at once, as pulling the plug.", NULL,
                                                 kill_table};
static const struct args_program pause_program = {"qvm-pause", "Pause qubes.", NULL, pause_table};
static const struct args_program unpause_program = {"qvm-unpause",
                                                    "Let paused or suspended qubes run on.", NULL,
                                                    kill_table};

static struct qube_list named(const struct args *args, struct qubes *qubes, int row)
{
	if (!args->given[row].n && !args_has(args, ALL))
		args_error(args->program, "one of VMNAME and --all is required");
	*qubes = qubes_or_fail(args->program);
	return qubes_named(args, qubes, row, ALL, EXCLUDE);
}

/* Says what failed; 1 if it did. */
static int failed(const struct admin_reply *reply, const char *doing, const struct qube *qube)
{
	if (!reply->error)
		return 0;
	fail_trace(reply);
	err_printf("Error: Failed to %s: %s: %s\n", doing, qube->name, admin_error_shown(reply));
	return 1;
}

/* Sends the requests together; those whose qube is in use come back as the list of what is left. */
static int shutdown_round(struct qube_list *list, const char *argument, bool may_retry)
{
	struct admin_request *requests = arena_alloc((list->n + 1) * sizeof(*requests));
	size_t left = 0;
	int status = 0;

	for (size_t i = 0; i < list->n; i++)
		requests[i] = (struct admin_request){.method = "admin.vm.Shutdown",
		                                     .argument = argument,
		                                     .target = list->items[i]->name};
	admin_call_all(requests, list->n);
	for (size_t i = 0; i < list->n; i++) {
		struct admin_reply *reply = &requests[i].reply;
		struct qube *qube = list->items[i];

		if (admin_error_is(reply, ADMIN_ERROR_NOT_STARTED))
			continue;
		if (admin_error_is(reply, ADMIN_ERROR_STOP_TIMEOUT)) {
			err_printf("Error: %s did not shut down in time, it is killed\n",
			           qube->name);
			*reply = admin_call("admin.vm.Kill", NULL, qube->name, NULL);
			if (admin_error_is(reply, ADMIN_ERROR_NOT_STARTED))
				continue;
		}
		if (may_retry && admin_error_is(reply, ADMIN_ERROR_IN_USE))
			list->items[left++] = qube;
		else
			status |= failed(reply, "shut down", qube);
	}
	list->n = left;
	return status;
}

static const char *names_of(const struct qube_list *list)
{
	struct text_list names = {0};

	for (size_t i = 0; i < list->n; i++)
		text_list_add(&names, list->items[i]->name);
	return text_list_join(&names, ", ");
}

int qvm_shutdown_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&shutdown_program, argc, argv);
	bool wait = args_has(args, WAIT), force = args_has(args, FORCE) || args_has(args, ALL);
	const char *argument = force ? wait ? "force+wait" : "force" : wait ? "wait" : NULL;
	struct qubes qubes;
	struct qube_list list = named(args, &qubes, SHUTDOWN_VMNAME);
	int status;

	if (args_has(args, DRY_RUN)) {
		for (size_t i = 0; i < list.n; i++)
			out_printf("%s\n", list.items[i]->name);
		return 0;
	}
	status = shutdown_round(&list, argument, wait);
	if (list.n) {
		/* Those that used it may be halted by now. */
		err_printf("Error: Retrying shutdown of qubes that were in use for 1 time(s)\n");
		err_printf("Error: Retrying shutdown of qubes that were in use: %s\n",
		           names_of(&list));
		status |= shutdown_round(&list, argument, false);
	}
	return status;
}

int qvm_kill_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&kill_program, argc, argv);
	struct qubes qubes;
	struct qube_list list = named(args, &qubes, UNPAUSE_VMNAME);
	int status = 0;

	for (size_t i = 0; i < list.n; i++) {
		struct admin_reply reply =
		        admin_call("admin.vm.Kill", NULL, list.items[i]->name, NULL);

		if (!admin_error_is(&reply, ADMIN_ERROR_NOT_STARTED))
			status |= failed(&reply, "kill", list.items[i]);
	}
	return status;
}

int qvm_pause_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&pause_program, argc, argv);
	const char *method = args_has(args, SUSPEND) ? "admin.vm.Suspend" : "admin.vm.Pause";
	struct qubes qubes;
	struct qube_list list = named(args, &qubes, PAUSE_VMNAME);
	int status = 0;

	for (size_t i = 0; i < list.n; i++) {
		struct admin_reply reply = admin_call(method, NULL, list.items[i]->name, NULL);

		status |= failed(&reply, "pause", list.items[i]);
	}
	return status;
}

int qvm_unpause_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&unpause_program, argc, argv);
	struct qubes qubes;
	struct qube_list list = named(args, &qubes, UNPAUSE_VMNAME);
	int status = 0;

	for (size_t i = 0; i < list.n; i++) {
		bool suspended = strcmp(state_now(list.items[i]), "Suspended") == 0;
		struct admin_reply reply =
		        admin_call(suspended ? "admin.vm.Resume" : "admin.vm.Unpause", NULL,
		                   list.items[i]->name, NULL);

		status |= failed(&reply, "unpause/resume", list.items[i]);
	}
	return status;
}
