/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_OUT_H
#define TOOLS_QVM_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/client/arena.h"

/*
 * What a command prints. Standard output is collected and written at once. Text may come from a qube
 * (names of devices, notes, error texts that repeat a value): whatever could drive a terminal is replaced
 * by '_', wherever it goes.
 */

void out_text(const char *text);
void out_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/** err_printf() - to standard error, after what standard output has so far */
void err_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/** out_flush() - writes what was collected */
void out_flush(void);

/** out_forget() - after out_flush(): holds no memory of the arena any more */
void out_forget(void);

/** out_end() - writes what was collected and ends; 1 where it could not be written */
NORETURN void out_end(int status);

/** out_safe() - a copy of a text that drives no terminal; newline and tab stay */
const char *out_safe(const char *text);

/** text_repr() - as Python shows a text: in quotes, with escapes */
const char *text_repr(const char *text);

/** out_escape() - a constant of ours that may drive a terminal: colours */
void out_escape(const char *constant);

/** json_text() - a JSON string, quotes included */
const char *json_text(const char *text);

/** out_set_json() - tables are printed as JSON from now on, one value a line */
void out_set_json(bool json);
bool out_is_json(void);

/* A table whose columns are as wide as their widest cell, with two spaces between. */
struct table {
	const char **cells;
	size_t columns, rows, room;
	const char *const
	        *keys; /* of the columns in JSON, an object a row; NULL: the first cell is the key
	                            and the second the value, all rows are one object */
	bool heading;  /* the first row is one; JSON has none */
};

struct table table_new(size_t columns, const char *const *keys);

/** table_row() - room for the cells of one more row; NULL cells end the row early */
const char **table_row(struct table *table);

void table_print(const struct table *table);

/** out_width() - how many characters a text has on a terminal */
size_t out_width(const char *text);

#endif
