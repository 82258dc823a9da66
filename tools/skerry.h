/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_SKERRY_H
#define TOOLS_SKERRY_H

#include <stdbool.h>

#include "lib/base/compat.h"

/*
 * The `skerry` command: one table of subcommands, and what they share. Each subcommand is one
 * function in a file of its own; it gets its own words (argv[0] is its name) after the options that
 * all have in common were taken out, wherever they stood.
 */

/* Exit status of every subcommand. */
enum skerry_exit {
	SKERRY_DONE = 0,
	SKERRY_REFUSED = 1, /* the answer is no, or it failed: said on stderr */
	SKERRY_USAGE = 2,
};

struct skerry_options {
	bool json;   /* --json: one JSON value a line on stdout and nothing else */
	bool colour; /* stdout is a terminal and neither NO_COLOR nor --no-color says otherwise */
};

struct skerry_command {
	const char *name;
	const char *args; /* usage after the name */
	const char *help; /* one line, no full stop */
	int (*fn)(int argc, char **argv, const struct skerry_options *options);
};

/* Subcommands; each prints its own usage and returns SKERRY_USAGE if the words are wrong. */
#define SKERRY_COMMAND(name)                                                                       \
	int skerry_##name(int argc, char **argv, const struct skerry_options *options)
SKERRY_COMMAND(clone);
SKERRY_COMMAND(create);
SKERRY_COMMAND(device);
SKERRY_COMMAND(disp);
SKERRY_COMMAND(doctor);
SKERRY_COMMAND(down);
SKERRY_COMMAND(features);
SKERRY_COMMAND(firewall);
SKERRY_COMMAND(get);
SKERRY_COMMAND(image);
SKERRY_COMMAND(init);
SKERRY_COMMAND(kill);
SKERRY_COMMAND(ls);
SKERRY_COMMAND(pause);
SKERRY_COMMAND(pool);
SKERRY_COMMAND(prefs);
SKERRY_COMMAND(remove);
SKERRY_COMMAND(run);
SKERRY_COMMAND(set);
SKERRY_COMMAND(shell);
SKERRY_COMMAND(start);
SKERRY_COMMAND(status);
SKERRY_COMMAND(stop);
SKERRY_COMMAND(tags);
SKERRY_COMMAND(unpause);
SKERRY_COMMAND(up);
SKERRY_COMMAND(volume);
SKERRY_COMMAND(watch);
int skerry_apps(int argc, char **argv, const struct skerry_options *options);
int skerry_ask(int argc, char **argv, const struct skerry_options *options);
int skerry_log(int argc, char **argv, const struct skerry_options *options);
int skerry_policy(int argc, char **argv, const struct skerry_options *options);
int skerry_trace(int argc, char **argv, const struct skerry_options *options);

/** skerry_usage() - "usage: skerry NAME ARGS" to stderr; returns SKERRY_USAGE */
int skerry_usage(const char *name);

/* Colours by meaning; "" where colours are off. */
enum skerry_style { STYLE_PLAIN, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_FAINT, STYLE_BOLD };
const char *skerry_style(const struct skerry_options *options, enum skerry_style style);

#endif
