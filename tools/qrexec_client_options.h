/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QREXEC_CLIENT_OPTIONS_H
#define TOOLS_QREXEC_CLIENT_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

struct dom0_options {
	char socket_dir[PATH_MAX];
	const char *domain;           /* -d */
	bool to_dom0;                 /* … is a name of dom0 */
	const char *command;          /* user:cmdline, or cmdline with -c -d dom0 */
	const char *local;            /* -l; NULL: none */
	bool just_exec;               /* -e */
	bool connect;                 /* -c */
	char ident[QREXEC_IDENT_LEN]; /* -c; padded with NULs */
	char source_id[16];           /* -c: the calling qube's number, as given to -c in decimal */
	uint32_t source_domain;       /* -c: the same as a number, 1 … INT_MAX */
	bool wait;                    /* -W */
	bool kill;                    /* -k */
	bool no_exit_code;            /* -E */
	uint64_t open_ms;             /* -w; 0: no limit */
	const char *prefix;           /* -p; NULL: none */
	bool stdin_socket;
	bool filter_out;
	bool filter_err;
};

/* What main() exits with if the command line ends the program: doc/protocol/qrexec.md, section 7. */
enum dom0_exit {
	DOM0_EXIT_HELP = 0,
	DOM0_EXIT_UNKNOWN_OPTION = 0,
	DOM0_EXIT_USAGE = 1,
	DOM0_EXIT_STDIN = 2, /* --use-stdin-socket misused, -p twice */
};

/**
 * dom0_options_parse() - the command line; texts are borrowed from argv
 * Errors: 0; 1: the program ends with *ret_status, all is said.
 */
int dom0_options_parse(int argc, char **argv, struct dom0_options *out, int *ret_status) MUST_CHECK;

#endif
