/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_LS_H
#define TOOLS_QVM_LS_H

#include "tools/qvm/qvm.h"

/* Parts of qvm-ls: which columns there are and what stands in them; which qubes are wanted. */

/* What a column needs to know, so that it can be asked for at once. */
enum ls_need {
	LS_NEED_STATE = 1,
	LS_NEED_PROPERTIES = 2,
	LS_NEED_MEMORY = 4,
	LS_NEED_MORE = 8, /* further requests that depend on answers */
};

/* A listing. */
struct ls {
	const struct qubes *qubes;
	struct qube **shown; /* qubes, in order */
	size_t n;
	bool named; /* on the command line: their state is asked for */
	const struct ls_column *columns;
	size_t n_columns;
};

struct ls_column {
	const char *heading;  /* "PRIV-CURR" */
	unsigned int needs;   /* of ls_need */
	const char *property; /* shown by the default cell; NULL: the heading in lower case */
	const char *(*cell)(struct ls *ls, struct qube *qube, const struct ls_column *column);
	const char *help;
};

/** ls_columns() - the columns of "name,state,…"; every property is one */
const struct ls_column *ls_columns(const char *names, size_t *ret_n);

/** ls_format() - the columns of a format; NULL: there is none of that name */
const char *ls_format(const char *name);

/** ls_formats_print() / ls_columns_print() - --help-formats, --help-columns */
void ls_formats_print(void);
void ls_columns_print(void);

/** ls_state() - of a qube in this listing */
const char *ls_state(struct ls *ls, struct qube *qube);

/** ls_load() - asks for what the columns need, many requests at once; @more: further properties, a line each */
void ls_load(struct ls *ls, unsigned int needs, const char *more);

/* Rows of the table of options that choose qubes; ls.c has the table. */
enum {
	LS_ALL = ARG_OWN,
	LS_EXCLUDE,
	LS_FORMAT,
	LS_FIELDS,
	LS_TREE,
	LS_RAW_DATA,
	LS_RAW_LIST,
	LS_DISK,
	LS_NETWORK,
	LS_KERNEL,
	LS_HELP_FORMATS,
	LS_HELP_COLUMNS,
	LS_CLASS,
	LS_LABEL,
	LS_TAGS,
	LS_EXCLUDE_TAGS,
	LS_RUNNING,
	LS_PAUSED,
	LS_HALTED,
	LS_TEMPLATE_SOURCE,
	LS_NETVM_IS,
	LS_INTERNAL,
	LS_SERVICEVM,
	LS_PENDING_UPDATE,
	LS_FEATURES,
	LS_PREFS,
	LS_SORT,
	LS_REVERSE,
	LS_IGNORE_CASE,
	LS_SPINNER,
	LS_NO_SPINNER,
	LS_VMNAME,
};

/** ls_filter() - leaves those qubes that the options want */
void ls_filter(struct ls *ls, const struct args *args);

#endif
