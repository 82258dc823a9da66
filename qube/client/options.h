/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_CLIENT_OPTIONS_H
#define QUBE_CLIENT_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

struct client_options {
	char agent_socket[PATH_MAX];
	size_t buffer_size; /* bytes of ring at least, 1 … VCHAN_RING_MAX */
	bool filter_out;    /* replace what could drive a terminal, in the service's output */
	bool filter_err;    /* … in its standard error */
	bool stdin_socket;
	const char *prefix; /* NULL: none */
	const char *source; /* "": this qube */
	const char *target;
	const char *service;
	char *const *program; /* local program and its arguments, NULL-terminated; NULL: none */
};

enum options_outcome {
	OPTIONS_RUN,
	OPTIONS_HELP,  /* help or version was printed */
	OPTIONS_WRONG, /* said on standard error */
};

/** client_options_parse() - the command line; texts are borrowed from argv */
enum options_outcome client_options_parse(int argc, char **argv, struct client_options *out)
        MUST_CHECK;

#endif
