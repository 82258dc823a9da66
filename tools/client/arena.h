/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_ARENA_H
#define TOOLS_CLIENT_ARENA_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Memory of a command: it runs for milliseconds, and what it reads it needs until it has printed it. All
 * allocations live until the process ends, or until arena_release() in a command that runs on. No memory
 * left ends the command with a message: there is nothing that it could undo.
 */

/** arena_alloc() - zeroed memory, never NULL */
void *arena_alloc(size_t size);

/** arena_grow() - a larger copy of the first @used bytes; the old memory stays */
void *arena_grow(const void *old, size_t used, size_t size);

/** arena_copy() - @len bytes with a NUL behind them */
char *arena_copy(const void *data, size_t len);

char *arena_dup(const char *text);

/** arena_printf() - formatted text */
char *arena_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/** arena_mark() / arena_release() - frees everything that was allocated after the mark, and the mark */
void *arena_mark(void);
void arena_release(void *mark);

/* A growing list of texts, in the arena. */
struct text_list {
	const char **items;
	size_t n, room;
};

void text_list_add(struct text_list *list, const char *text);

/** text_list_lines() - the lines of a text, without an empty one at its end */
struct text_list text_list_lines(const char *text);

/** text_list_has() - whether a text is in the list */
int text_list_has(const struct text_list *list, const char *text);

void text_list_sort(struct text_list *list);

/** text_list_join() - the items with a separator between them */
char *text_list_join(const struct text_list *list, const char *separator);

#endif
