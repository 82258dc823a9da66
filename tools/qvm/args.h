/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_ARGS_H
#define TOOLS_QVM_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/client/arena.h"

/*
 * Command lines as the original's tools read them, which is how Python's argparse does: the same words are
 * accepted (abbreviations, -xVALUE, --x=VALUE, options between positionals), and usage and errors have the
 * same text. A command is a table; nothing of the reading is per command.
 */

enum arg_kind {
	ARG_END,    /* of a table */
	ARG_ABSENT, /* a row that this table does not have, but one like it has */
	ARG_FLAG,   /* option without a value */
	ARG_VALUE,  /* with one; given again, the last counts, all are in the list */
	ARG_MAYBE,  /* with one or none */
	ARG_MANY,   /* with one or more */
	ARG_ONE,    /* positional: exactly one */
	ARG_ONE_MAYBE,
	ARG_ANY,      /* positional: none or more */
	ARG_REST,     /* positional: all that is left, options too */
	ARG_COMMANDS, /* positional: the name of a sub-command and all that is left; may be missing */
};

#define ARG_NAMES_MAX 3
#define ARGS_MAX      48 /* rows of a table */

struct arg {
	enum arg_kind kind;
	const char *names[ARG_NAMES_MAX]; /* of an option; the first is shown in usage */
	const char *metavar;              /* of the value, or name of a positional */
	const char *help;                 /* NULL: not shown (as argparse.SUPPRESS) */
	int group;                        /* not 0: excludes others of the group */
	const char *const
	        *choices; /* NULL-terminated; ARG_COMMANDS: sub-commands and their short names */
};

/* The first four rows of every table. */
enum { ARG_VERBOSE, ARG_QUIET, ARG_HELP, ARG_VERSION, ARG_OWN };
#define ARGS_COMMON                                                                                \
	[ARG_VERBOSE] = {ARG_FLAG, {"--verbose", "-v"}, .help = "increase verbosity"},             \
	[ARG_QUIET] = {ARG_FLAG, {"--quiet", "-q"}, .help = "decrease verbosity"},                 \
	[ARG_HELP] = {ARG_FLAG, {"--help", "-h"}, .help = "show this help message and exit"},      \
	[ARG_VERSION] = {ARG_FLAG, {"--version"}, .help = "show the version and exit"}

struct args_program {
	const char *name;        /* "qvm-ls", "qvm-pool info" */
	const char *description; /* one paragraph of --help */
	const char *epilog;      /* after the options; NULL: none */
	const struct arg *table; /* ends with ARG_END */
};

struct arg_given {
	const char **items;
	size_t n;  /* values */
	int times; /* how often the option stood there; for a positional 1 if it has a value */
};

struct args {
	const struct args_program *program;
	struct arg_given given[ARGS_MAX];
	struct text_list unknown; /* words that no row takes */
};

/**
 * args_parse() - reads a command line; ends the process after --help, --version and errors (status 2)
 * @argv:  borrowed, without the program's name
 *
 * Words that no row takes are an error too, unless @ret->unknown is wanted: see args_parse_known().
 */
struct args *args_parse(const struct args_program *program, int argc, const char *const *argv);
struct args *args_parse_known(const struct args_program *program, int argc,
                              const char *const *argv);

/** args_name() - what the command is called in messages: "qvm-tags", or "skerry tags" */
const char *args_name(const struct args_program *program);

/** args_set_front() - commands are called "FRONT NAME" instead of "qvm-NAME" from now on */
void args_set_front(const char *front);

/** args_front() - "skerry run: " for messages that the original begins with the qube; "" as qvm-run */
const char *args_front(const struct args_program *program);

/** args_value() - the last value of an option or a positional; NULL: not given */
const char *args_value(const struct args *args, int row);

bool args_has(const struct args *args, int row);

/** args_usage() - "usage: …", wrapped to the terminal as argparse does it */
const char *args_usage(const struct args_program *program);

/** args_help() - the whole of --help */
const char *args_help(const struct args_program *program);

/** args_describe() - the table as JSON, from which scripts/qvm_manuals.py makes the manual pages; a command
 *  whose only word is --describe-arguments prints it */
const char *args_describe(const struct args_program *program);

/** args_error() - usage and "PROG: error: …", ends with status 2 */
NORETURN void args_error(const struct args_program *program, const char *fmt, ...)
        PRINTF_LIKE(2, 3);

/** args_row_name() - how errors name a row: "--label/-l", or its metavar */
const char *args_row_name(const struct arg *arg);

static inline bool arg_is_option(const struct arg *arg)
{
	return arg->names[0] != NULL;
}

static inline bool arg_is_positional(const struct arg *arg)
{
	return !arg->names[0] && arg->kind != ARG_ABSENT;
}

#endif
