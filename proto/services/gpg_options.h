/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_GPG_OPTIONS_H
#define PROTO_SERVICES_GPG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The options of gpg that qubes.Gpg lets through. Those that are not here are refused, known or not. */

enum gpg_option_kind {
	GPG_OPTION_PLAIN,
	GPG_OPTION_USER_IDS, /* a command whose operands are user ids */
	GPG_OPTION_COMMAND,  /* any other command */
	GPG_OPTION_VERIFY,   /* the command whose first operand is a signature */
	GPG_OPTION_OUTPUT,
	GPG_OPTION_STATUS_FD, /* these three in this order */
	GPG_OPTION_LOGGER_FD,
	GPG_OPTION_ATTRIBUTE_FD,
	GPG_OPTION_LIST,
	GPG_OPTION_VERIFY_LIST,
	GPG_OPTION_EXPORT_LIST,
};

struct gpg_option {
	const char *name;
	bool has_value;
	enum gpg_option_kind kind;
};

/** gpg_option_find() - a long option by its whole name; NULL: not let through */
const struct gpg_option *gpg_option_find(const char *name, size_t len);

/** gpg_option_short() - by its letter */
const struct gpg_option *gpg_option_short(char letter);

/** gpg_list_legal() - a list of words, as --list-options takes it, of those that are let through */
bool gpg_list_legal(enum gpg_option_kind kind, const char *value);

#endif
