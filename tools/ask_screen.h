/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_ASK_SCREEN_H
#define TOOLS_ASK_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "lib/base/compat.h"
#include "tools/ask_request.h"
#include "tools/skerry.h"

/*
 * One prompt on a terminal: the question, the targets that fit what was typed, and which is chosen.
 * Enter allows, Escape refuses, both only once armed, so that keys that were meant for something else
 * decide nothing.
 */

#define ASK_FILTER_MAX 64U
#define ASK_ROWS       10U

enum ask_result { ASK_GOES_ON, ASK_ALLOW, ASK_DENY };

struct ask_screen {
	const struct skerry_options *options;
	struct termios saved;
	bool raw;
	const struct ask_request *request; /* shown; NULL: none */
	bool armed;
	size_t waiting; /* prompts behind this one */
	char filter[ASK_FILTER_MAX + 1];
	size_t filter_len;
	size_t cursor;     /* among those that fit */
	bool chosen;       /* something is: a default, a number, an arrow, one left */
	unsigned int rows; /* drawn, to be drawn over */
};

/** ask_screen_init() - takes the terminal; -1 with errno: it is none */
int ask_screen_init(struct ask_screen *screen, const struct skerry_options *options) MUST_CHECK;
void ask_screen_fini(struct ask_screen *screen);

/** ask_screen_show() - a new prompt, not armed; NULL: none. The request is borrowed. */
void ask_screen_show(struct ask_screen *screen, const struct ask_request *request);
void ask_screen_draw(struct ask_screen *screen);
/** ask_screen_line() - a line of its own, above the prompt */
void ask_screen_line(struct ask_screen *screen, const char *text);

/** ask_screen_keys() - what was typed; *ret_target is the choice on ASK_ALLOW */
enum ask_result ask_screen_keys(struct ask_screen *screen, const char *keys, size_t len,
                                const char **ret_target) MUST_CHECK;

#endif
