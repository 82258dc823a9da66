/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_PARSE_H
#define SERVICES_POLICY_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/policy/policy.h"
#include "services/policy/text.h"

/* One line of policy to a checked struct. Pure. Source: doc/protocol/policy.md, 3, 4 and 6.1. */

enum line_kind {
	LINE_BLANK,
	LINE_RULE,
	LINE_INCLUDE,
	LINE_INCLUDE_DIR,
	LINE_INCLUDE_SERVICE,
	LINE_COMPAT
};

struct parsed_token {
	struct slice text;
	enum token_kind kind;
	uint32_t rest; /* bytes of the prefix */
};

/* A rule line, or a directive. Slices point into the line. */
struct parsed_line {
	enum line_kind kind;
	struct slice service;  /* LINE_RULE, LINE_INCLUDE_SERVICE */
	struct slice argument; /* the same */
	struct slice path;     /* the includes */
	struct parsed_token source;
	struct parsed_token target;
	struct parsed_token redirect;       /* text.p NULL: none */
	struct parsed_token default_target; /* text.p NULL: none */
	struct slice user;                  /* len 0: none */
	enum rule_action action;
	bool notify;
	bool autostart;
	bool notify_given;
	bool autostart_given;
};

/* What is wrong with a line, and where. */
struct line_fault {
	enum fault_code code;
	struct slice where; /* in the line; p NULL: the line as a whole */
};

/**
 * parse_token() - a word in its place, by the exact rules of 3.1
 * Errors: CODE_NONE, CODE_TOKEN, CODE_TOKEN_EMPTY.
 */
enum fault_code parse_token(struct slice word, enum token_place place, struct parsed_token *ret);

/** parse_line() - a line of the 5.0 format. Errors: CODE_NONE, or a code, with *fault written. */
enum fault_code parse_line(struct slice line, struct parsed_line *ret, struct line_fault *fault);

/**
 * parse_service_line() - a line of the service format, which lacks service and argument
 * @line:  borrowed and changed: the substitutions of 6.1 keep every column where it was
 */
enum fault_code parse_service_line(char *line, size_t len, struct slice service,
                                   struct slice argument, struct parsed_line *ret,
                                   struct line_fault *fault);

/** fault_explain() - what is wrong with the words at fault and what to write; NUL-terminated */
void fault_explain(const struct line_fault *fault, char *out, size_t max);

#endif
