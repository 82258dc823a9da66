/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-run: a command or a service in a qube. The command goes to a shell there (qubes.VMShell), or with its
 * words apart to qubes.VMExec; qrexec-client makes the call in dom0, qrexec-client-vm in a qube.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/qvm/qvm.h"
#include "tools/qvm/child.h"

#define EXIT_NO_DISPOSABLE 255 /* as the original's -1 */

enum {
	USER = ARG_OWN,
	AUTOSTART,
	NO_AUTOSTART,
	PASS_IO,
	LOCALCMD,
	GUI,
	NO_GUI,
	COLOUR_OUTPUT,
	COLOUR_STDERR,
	NO_COLOUR_OUTPUT,
	NO_COLOUR_STDERR,
	FILTER,
	NO_FILTER,
	SERVICE,
	NO_SHELL,
	DISPVM,
	ALL,
	EXCLUDE,
	VMNAME,
	COMMAND,
	REST
};

static const struct arg table[] = {
        ARGS_COMMON,
        [USER] = {ARG_VALUE,
                  {"--user", "-u"},
                  .metavar = "USER",
                  .help = "run as this user of the qube"},
        [AUTOSTART] = {ARG_FLAG,
                       {"--autostart", "--auto", "-a"},
                       .help = "start the qube if it is halted; the default"},
        [NO_AUTOSTART] = {ARG_FLAG,
                          {"--no-autostart", "--no-auto", "-n"},
                          .help = "do not start the qube"},
        [PASS_IO] = {ARG_FLAG,
                     {"--pass-io", "-p"},
                     .help = "pass standard input, output and error"},
        [LOCALCMD] = {ARG_VALUE,
                      {"--localcmd"},
                      .metavar = "COMMAND",
                      .help = "with --pass-io: run this here and join it to the command"},
        [GUI] = {ARG_FLAG, {"--gui"}, .help = "the command has windows; the default"},
        [NO_GUI] = {ARG_FLAG, {"--no-gui", "--nogui"}, .help = "the command has no windows"},
        [COLOUR_OUTPUT] = {ARG_VALUE,
                           {"--colour-output", "--color-output"},
                           .metavar = "COLOUR",
                           .help = "number of the colour for the output on a terminal (31: red)"},
        [COLOUR_STDERR] = {ARG_VALUE,
                           {"--colour-stderr", "--color-stderr"},
                           .metavar = "COLOUR",
                           .help = "the same for standard error"},
        [NO_COLOUR_OUTPUT] = {ARG_FLAG,
                              {"--no-colour-output", "--no-color-output"},
                              .help = "no colour for the output"},
        [NO_COLOUR_STDERR] = {ARG_FLAG,
                              {"--no-colour-stderr", "--no-color-stderr"},
                              .help = "no colour for standard error"},
        [FILTER] = {ARG_FLAG,
                    {"--filter-escape-chars"},
                    .help = "replace what could drive a terminal; always done towards one"},
        [NO_FILTER] = {ARG_FLAG,
                       {"--no-filter-escape-chars"},
                       .help = "leave the output as it is where it goes to no terminal"},
        [SERVICE] = {ARG_FLAG,
                     {"--service"},
                     .help = "COMMAND is the name of a service, with +ARGUMENT"},
        [NO_SHELL] = {ARG_FLAG,
                      {"--no-shell"},
                      .help = "COMMAND is a program, no text for a shell"},
        [DISPVM] = {ARG_MAYBE,
                    {"--dispvm", "--disp"},
                    .metavar = "DISPOSABLE_TEMPLATE",
                    .group = 1,
                    .help = "run in a new disposable"},
        [ALL] = {ARG_FLAG, {"--all"}, .group = 1, .help = "in all qubes that run"},
        [EXCLUDE] = ARG_ROW_EXCLUDE,
        [VMNAME] = {ARG_ONE_MAYBE, .metavar = "VMNAME", .help = "name of the qube"},
        [COMMAND] = {ARG_ONE, .metavar = "COMMAND", .help = "command or service"},
        [REST] = {ARG_REST, .metavar = "ARG", .help = "words of the command"},
        {ARG_END},
};

static const struct args_program program = {"qvm-run", "Run a command in a qube.", NULL, table};

/* What is to be run where. */
struct job {
	const struct args *args;
	const char *command;
	const char *target; /* qube */
	const char *shown;  /* its name in messages: "@dispvm:X" */
	bool disposable, pass;
	const char *timeout; /* -w; NULL */
};

static bool feature_is_set(const char *qube, const char *feature, const char *value)
{
	struct admin_reply reply =
	        admin_call("admin.vm.feature.CheckWithTemplate", feature, qube, NULL);

	return !reply.error && (value ? strcmp(reply.content, value) == 0 : *reply.content != '\0');
}

/* As qubes.VMExec reads it: words joined by '+', '-' doubled, others as -XX. */
static const char *exec_encode(const char *command, const struct arg_given *rest)
{
	size_t room = strlen(command) * 3 + 1;
	char *text, *to;

	for (size_t i = 0; i < rest->n; i++)
		room += strlen(rest->items[i]) * 3 + 1;
	text = to = arena_alloc(room + 1);
	for (size_t i = 0; i < rest->n + 1; i++) {
		const char *word = i ? rest->items[i - 1] : command;

		if (i)
			*to++ = '+';
		for (; *word; word++) {
			if (isalnum((unsigned char)*word) || *word == '.' || *word == '_')
				*to++ = *word;
			else if (*word == '-')
				*to++ = '-', *to++ = '-';
			else
				to += snprintf(to, 4, "-%02X", (unsigned int)(unsigned char)*word);
		}
	}
	return text;
}

/* A word that a shell takes as one. */
static const char *shell_quote(const char *word)
{
	static const char plain[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
	char *text, *to;

	if (*word && strspn(word, plain) == strlen(word))
		return word;
	text = to = arena_alloc(strlen(word) * 5 + 3);
	*to++ = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(to, "'\"'\"'", 5);
			to += 5;
		} else {
			*to++ = *word;
		}
	}
	*to = '\'';
	return text;
}

struct call {
	const char *service; /* with its argument */
	const char *data;    /* sent first; NULL */
	const char *user;    /* DEFAULT, or a name */
};

static const char *shell_data(const struct job *job, const char *feature_qube)
{
	const struct arg_given *rest = &job->args->given[REST];
	struct text_list words = {0};
	const char *text = job->command;

	if (rest->n || args_has(job->args, NO_SHELL)) {
		text_list_add(&words, shell_quote(job->command));
		for (size_t i = 0; i < rest->n; i++)
			text_list_add(&words, shell_quote(rest->items[i]));
		text = text_list_join(&words, " ");
	}
	return feature_is_set(feature_qube, "os", "Windows") ? arena_printf("%s& exit\n", text)
	                                                     : arena_printf("%s; exit\n", text);
}

static struct call call_make(const struct job *job)
{
	const char *user = args_value(job->args, USER);
	bool words = job->args->given[REST].n || args_has(job->args, NO_SHELL), root;
	const char *qube = job->disposable && !*job->target ? "dom0" : job->target;
	struct call call = {.user = user ? user : "DEFAULT"};

	if (args_has(job->args, SERVICE)) {
		call.service = strchr(job->command, '+') ? job->command
		                                         : arena_printf("%s+", job->command);
		return call;
	}
	root = user && strcmp(user, "root") == 0 &&
	       feature_is_set(qube, "supported-rpc.qubes.VMRootExec", NULL);
	if (root)
		call.user = "DEFAULT";
	if (words && feature_is_set(qube, "vmexec", NULL)) {
		call.service = arena_printf("%s+%s", root ? "qubes.VMRootExec" : "qubes.VMExec",
		                            exec_encode(job->command, &job->args->given[REST]));
		return call;
	}
	call.service = root ? "qubes.VMRootShell+" : "qubes.VMShell+";
	call.data = shell_data(job, qube);
	return call;
}

static const char *client_path(const char *name)
{
	const char *const places[] = {name, arena_printf("../%s", name),
	                              arena_printf("../../qube/client/%s", name), NULL};
	char *path = arena_alloc(PATH_MAX);

	return path_program(path, PATH_MAX, places) == 0 ? path : name;
}

static void add_client_options(struct text_list *argv, const struct job *job,
                               const struct call *call)
{
	const char *local = args_value(job->args, LOCALCMD);

	if (args_has(job->args, FILTER)) {
		text_list_add(argv, "-t");
		text_list_add(argv, "-T");
	}
	if (local) {
		text_list_add(argv, "-l");
		text_list_add(argv, local);
	} else if (!job->pass && !call->data && args_has(job->args, SERVICE) && !job->disposable) {
		text_list_add(argv, "-e");
	}
	if (call->data) {
		text_list_add(argv, "-p");
		text_list_add(argv, call->data);
	}
	if (job->timeout) {
		text_list_add(argv, "-w");
		text_list_add(argv, job->timeout);
	}
}

/* Starts the client; the process, or -1 after having said why. */
static pid_t client_start(const struct job *job, const struct call *call)
{
	OWNED_FD int null = job->pass ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
	struct text_list argv = {0};
	pid_t pid;

	if (admin_in_dom0()) {
		text_list_add(&argv, client_path("qrexec-client"));
		text_list_add(&argv, "-d");
		text_list_add(&argv, job->target);
		add_client_options(&argv, job, call);
		text_list_add(&argv,
		              arena_printf("%s:QUBESRPC %s dom0", call->user, call->service));
	} else {
		text_list_add(&argv, client_path("qrexec-client-vm"));
		if (call->data) {
			text_list_add(&argv, "-p");
			text_list_add(&argv, call->data);
		}
		text_list_add(&argv, job->disposable ? job->shown : job->target);
		text_list_add(&argv, call->service);
		if (args_has(job->args, LOCALCMD)) {
			text_list_add(&argv, "/bin/sh");
			text_list_add(&argv, "-c");
			text_list_add(&argv, args_value(job->args, LOCALCMD));
		}
	}
	text_list_add(&argv, NULL);
	pid = child_start(argv.items, (const int[]){null, null, null});
	if (pid < 0)
		err_printf("%s: %m\n", argv.items[0]);
	return pid;
}

/* Colours around what a qube prints, so that nobody takes it for dom0's. */
static void colour(const struct job *job, bool begin)
{
	static const struct {
		int fd, number, none;
	} rows[] = {{STDOUT_FILENO, COLOUR_OUTPUT, NO_COLOUR_OUTPUT},
	            {STDERR_FILENO, COLOUR_STDERR, NO_COLOUR_STDERR}};

	for (size_t i = 0; i < ARRAY_LEN(rows) && job->pass; i++) {
		const char *number = args_value(job->args, rows[i].number), *text;

		if (args_has(job->args, rows[i].none) || !isatty(rows[i].fd))
			continue;
		if (!number || strspn(number, "0123456789;") != strlen(number))
			number = "31";
		text = begin ? arena_printf("\033[0;%sm", number) : "\033[0m";
		(void)!fd_write_all(rows[i].fd, text, strlen(text));
	}
}

static void tell(const struct job *job)
{
	if (!job->pass && !args_has(job->args, ARG_QUIET))
		err_printf("Running '%s' on %s\n", job->command, job->shown);
}

/* Brings the qube to where it can be called; false: it is not, and that was said. */
static bool bring_up(const struct args *args, struct qube *qube)
{
	const char *state = state_now(qube);
	struct admin_reply reply;

	if (strcmp(state, "Paused") == 0 || strcmp(state, "Suspended") == 0) {
		reply = admin_call(*state == 'P' ? "admin.vm.Unpause" : "admin.vm.Resume", NULL,
		                   qube->name, NULL);
		if (reply.error) {
			fail_trace(&reply);
			err_printf("%s%s: %s\n", args_front(&program), qube->name,
			           admin_error_shown(&reply));
			return false;
		}
	}
	if (!is_running(qube) && args_has(args, NO_AUTOSTART)) {
		err_printf("Qube '%s' not started\n", qube->name);
		return false;
	}
	return true;
}

/* A qube that runs already is no error. */
static bool start(const struct job *job)
{
	struct admin_reply reply = admin_call("admin.vm.Start", NULL, job->target, NULL);

	if (!reply.error || strcmp(reply.error, "QubesVMNotHaltedError") == 0)
		return true;
	fail_trace(&reply);
	err_printf("%s%s: %s\n", args_front(&program), job->shown, admin_error_shown(&reply));
	return false;
}

/* In one qube; the process, or -1. */
static pid_t run_in(const struct args *args, struct qube *qube, struct job *job)
{
	struct call call;

	*job = (struct job){.args = args,
	                    .command = args_value(args, COMMAND),
	                    .target = qube->name,
	                    .shown = qube->name,
	                    .pass = args_has(args, PASS_IO)};
	if (!bring_up(args, qube))
		return -1;
	tell(job);
	call = call_make(job);
	if (admin_in_dom0() && !start(job))
		return -1;
	colour(job, true);
	return client_start(job, &call);
}

static int run_all(const struct args *args, const struct qube_list *list)
{
	pid_t *pids = arena_alloc((list->n + 1) * sizeof(*pids));
	struct job job = {0};
	int status = 0;

	for (size_t i = 0; i < list->n; i++)
		pids[i] = run_in(args, list->items[i], &job);
	for (size_t i = 0; i < list->n; i++) {
		int r = pids[i] < 0 ? 1 : child_status(pids[i]);

		status = r ? r : status;
	}
	if (job.args)
		colour(&job, false);
	return status;
}

/* The name of the new disposable; NULL: none, and why was said. */
static const char *disposable_make(const struct job *job, const char *template)
{
	struct admin_reply reply =
	        admin_call("admin.vm.CreateDisposable", NULL, *template ? template : "dom0", NULL);

	if (!reply.error)
		return reply.content;
	fail_trace(&reply);
	err_printf("%s%s: %s\n", args_front(&program), job->shown, admin_error_shown(&reply));
	return NULL;
}

static int run_disposable(const struct args *args)
{
	const char *template = args_value(args, DISPVM) ? args_value(args, DISPVM) : "";
	struct job job = {.args = args,
	                  .command = args_value(args, COMMAND),
	                  .target = template,
	                  .disposable = true,
	                  .pass = args_has(args, PASS_IO)};
	struct admin_reply reply;
	struct property timeout;
	struct call call;
	int status = 1;
	pid_t pid;

	job.shown = *template ? arena_printf("@dispvm:%s", template) : "@dispvm";
	tell(&job);
	call = call_make(&job);
	if (admin_in_dom0()) {
		job.target = disposable_make(&job, template);
		if (!job.target)
			return EXIT_NO_DISPOSABLE;
		reply = admin_call("admin.vm.property.Get", "qrexec_timeout", job.target, NULL);
		if (!reply.error && property_decode(reply.content, &timeout))
			job.timeout = timeout.value;
	}
	if (!admin_in_dom0() || start(&job)) {
		colour(&job, true);
		pid = client_start(&job, &call);
		status = pid < 0 ? 1 : child_status(pid);
		colour(&job, false);
	}
	if (admin_in_dom0())
		(void)admin_call("admin.vm.Kill", NULL, job.target,
		                 NULL); /* gone already is fine */
	return status;
}

/* Where no qube is named, what was taken for its name is the command's first word. */
static void words_shift(struct args *args)
{
	struct text_list rest = {0};

	if (!args_has(args, VMNAME))
		return;
	text_list_add(&rest, args_value(args, COMMAND));
	for (size_t i = 0; i < args->given[REST].n; i++)
		text_list_add(&rest, args->given[REST].items[i]);
	args->given[REST] = (struct arg_given){.items = rest.items, .n = rest.n, .times = 1};
	args->given[COMMAND] = args->given[VMNAME];
	args->given[VMNAME] = (struct arg_given){0};
}

int qvm_run_run(int argc, const char *const *argv)
{
	struct args *args = args_parse(&program, argc, argv);
	struct qube_list list;
	struct qubes qubes;
	size_t running = 0;

	if (args_has(args, LOCALCMD) && !args_has(args, PASS_IO))
		args_error(&program, "--localcmd have no effect without --pass-io");
	if (args_has(args, DISPVM) || args_has(args, ALL))
		words_shift(args);
	if (args_has(args, DISPVM))
		return run_disposable(args);
	if (!args_has(args, ALL) && !args_has(args, VMNAME))
		args_error(&program, "one of VMNAME, --all and --dispvm is required");
	qubes = qubes_or_fail(&program);
	list = qubes_named(args, &qubes, VMNAME, ALL, EXCLUDE);
	if (args_has(args, ALL) && !args_has(args, AUTOSTART)) {
		for (size_t i = 0; i < list.n; i++)
			if (strcmp(list.items[i]->state, "Running") == 0)
				list.items[running++] = list.items[i];
		list.n = running;
	}
	return run_all(args, &list);
}
