/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_SKERRY_ADMIN_H
#define TOOLS_SKERRY_ADMIN_H

#include "tools/client/qubes.h"
#include "tools/qvm/out.h"
#include "tools/skerry.h"

/* What the subcommands of skerry(1) share that ask the Admin API. */

/** refused() - "skerry COMMAND: SUBJECT: what: cure", after an exception; returns SKERRY_REFUSED */
int refused(const char *command, const char *subject, const struct admin_reply *reply);

/** refuse() - the same for what this side found; @cure NULL: none */
int refuse(const char *command, const char *subject, const char *text, const char *cure);

/** qubes_get() - the list of qubes; false: there is none, and why was said */
bool qubes_get(const char *command, struct qubes *ret);

/** qube_get() - a qube by its name; NULL: there is none, and that was said */
struct qube *qube_get(const char *command, const struct qubes *qubes, const char *name);

/** words_take() - takes options of a table out of a subcommand's words
 *
 * An option is "--name" or "--name=VALUE"; a word "--" ends them. Returns how many words are left (the name
 * of the command among them), -1 after an unknown option, which was said. */
struct word_option {
	const char *name;   /* "--wait"; NULL: end of the table */
	const char **value; /* where "=VALUE" goes, a constant if there is none; NULL: */
	bool *flag;         /* set if the option is there */
};
int words_take(int argc, char **argv, const struct word_option *options);

/** label_style() - the escape for a label's colour, "" where colours are off or it is not known */
const char *label_style(const struct skerry_options *options, const char *label);

#endif
