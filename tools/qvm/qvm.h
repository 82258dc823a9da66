/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_QVM_H
#define TOOLS_QVM_QVM_H

#include "tools/client/qubes.h"
#include "tools/qvm/args.h"
#include "tools/qvm/out.h"

/*
 * The qvm-* commands and qubes-prefs: one program under many names. Each command is a table of options
 * (args.h) and a function; what they print, and which requests they make in which order, is what the
 * original's commands do: tests/vectors/admin has the recorded conversations.
 */

struct command {
	const char *name;    /* "qvm-ls" */
	const char *summary; /* one line for `qvm --list` */
	int (*run)(int argc,
	           const char *const *argv); /* words after the name; returns the exit status */
};

/* Commands. */
#define COMMAND_RUN(name) int name##_run(int argc, const char *const *argv)
COMMAND_RUN(qvm_check);
COMMAND_RUN(qvm_clone);
COMMAND_RUN(qvm_create);
COMMAND_RUN(qvm_device);
COMMAND_RUN(qvm_block);
COMMAND_RUN(qvm_pci);
COMMAND_RUN(qvm_usb);
COMMAND_RUN(qvm_features);
COMMAND_RUN(qvm_firewall);
COMMAND_RUN(qvm_kill);
COMMAND_RUN(qvm_ls);
COMMAND_RUN(qvm_notes);
COMMAND_RUN(qvm_pause);
COMMAND_RUN(qvm_pool);
COMMAND_RUN(qvm_prefs);
COMMAND_RUN(qvm_remove);
COMMAND_RUN(qvm_run);
COMMAND_RUN(qvm_service);
COMMAND_RUN(qvm_shutdown);
COMMAND_RUN(qvm_start);
COMMAND_RUN(qvm_tags);
COMMAND_RUN(qvm_unpause);
COMMAND_RUN(qvm_volume);
COMMAND_RUN(qubes_prefs);

/** fail() - "PROG: error: …" and status 1, the original's error at run time */
NORETURN void fail(const struct args_program *program, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** fail_reply() - the same for an exception; those that end the original with a traceback print its last
 *  line: "qubesadmin.exc.TYPE: …" */
NORETURN void fail_reply(const struct args_program *program, const struct admin_reply *reply);

/** fail_trace() - ends like a traceback would, if this exception is one of those that do */
void fail_trace(const struct admin_reply *reply);

/** call_or_fail() - a request whose exception ends the command by fail_reply() */
struct admin_reply call_or_fail(const struct args_program *program, const char *method,
                                const char *argument, const char *target, const char *payload);

/** qubes_or_fail() - the list of qubes */
struct qubes qubes_or_fail(const struct args_program *program);

/** qube_named() - the qube that a positional names; "no such domain" ends the command */
struct qube *qube_named(const struct args *args, const struct qubes *qubes, int row);

/**
 * qubes_named() - the qubes that a positional names, by shell patterns too
 * @all, @exclude:  rows of --all and --exclude; -1: the command has none
 *
 * --all: all but dom0.
 */
struct qube_list {
	struct qube **items;
	size_t n;
};
struct qube_list qubes_named(const struct args *args, const struct qubes *qubes, int row, int all,
                             int exclude);

/* Rows that several commands share. */
#define ARG_ROW_VMNAME(kind_)                                                                      \
	{                                                                                          \
		.kind = (kind_), .metavar = "VMNAME", .help = "name of the qube"                   \
	}
#define ARG_ROW_ALL                                                                                \
	{                                                                                          \
		.kind = ARG_FLAG, .names = {"--all"}, .help = "all qubes but dom0"                 \
	}
#define ARG_ROW_EXCLUDE                                                                            \
	{                                                                                          \
		.kind = ARG_VALUE, .names = {"--exclude"}, .metavar = "EXCLUDE",                   \
		.help = "with --all: leave this qube out"                                          \
	}

/** state_of() - the state of a qube as the list or CurrentState gives it, asked for where needed */
const char *state_of(struct qube *qube);

/** state_now() - asks for the state now */
const char *state_now(struct qube *qube);

/** bool_parse() - "1", "on", "yes", "true" and their opposites; false: another word */
bool bool_parse(const char *text, bool *ret);

/** confirm() - asks "Are you sure? [y/N]" on standard output, reads standard input */
bool confirm(void);

/** is_dom0() - the qube that is not one */
bool is_dom0(const struct qube *qube);

/** is_running() - neither halted nor unknown; asked for once */
bool is_running(struct qube *qube);

#endif
