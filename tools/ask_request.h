/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_ASK_REQUEST_H
#define TOOLS_ASK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * What comes to the prompt service: header, NUL, JSON. The JSON is written by the policy service, but
 * holds words that a qube chose; whatever is shown passes ask_show().
 * Source: doc/protocol/policy.md, Prompt service.
 */

#define ASK_REQUEST_MAX (4U << 20) /* bytes; chosen */
#define ASK_TARGETS_MAX 16384U
#define ASK_TEXT_MAX    200U /* bytes of a text that is shown, escaped; longer ones are cut */

enum ask_kind { ASK_PROMPT, ASK_NOTICE };

/* All texts are owned. */
struct ask_request {
	enum ask_kind kind;
	char *source;
	char *service;
	char *argument;
	char *target;     /* prompt: preselected, "" for none; notice: target */
	char *resolution; /* notice: allow, deny, fail */
	char **targets;   /* sorted; those that may be shown and chosen */
	size_t n_targets;
};

/** ask_request_decode() - a whole request; -1: close without an answer. @data has a NUL at len. */
int ask_request_decode(const char *data, size_t len, struct ask_request *out) MUST_CHECK;
void ask_request_fini(struct ask_request *request);

/** ask_show() - any text as printable ASCII, cut at ASK_TEXT_MAX with "..." */
void ask_show(char out[ASK_TEXT_MAX + 4], const char *text);

#endif
