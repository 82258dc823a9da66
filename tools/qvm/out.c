/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/qvm/out.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/untrusted/text.h"

static struct {
	char *data;
	size_t len, room;
	int failed;
} out;

static bool json;

/* The corners of a tree; what else may be shown is lib/untrusted's to say. */
#define CODE_CORNER 0x2514
#define CODE_LINE   0x2500

/* The length of the character that stands there; whether it may be shown. */
static size_t character(const unsigned char *p, bool *ret_shown)
{
	uint32_t code;
	size_t len;

	*ret_shown = p[0] >= 0x20 && p[0] < 0x7f; /* most of what is printed */
	if (p[0] < 0x80)
		return 1;
	len = utf8_decode(p, strnlen((const char *)p, 4), &code);
	*ret_shown =
	        len && (untrusted_char_shown(code) || code == CODE_CORNER || code == CODE_LINE);
	return len ? len : 1;
}

const char *out_safe(const char *text)
{
	char *copy = arena_alloc(strlen(text) + 1), *to = copy;
	bool shown;

	while (*text) {
		size_t len = character((const unsigned char *)text, &shown);

		if (shown || *text == '\n' || *text == '\t') {
			memcpy(to, text, len);
			to += len;
		} else {
			*to++ = '_';
		}
		text += len;
	}
	return copy;
}

static void out_append(const char *text)
{
	size_t len = strlen(text);

	if (out.room - out.len < len + 1) {
		out.room = (out.room + len) * 2 + 4096;
		out.data = arena_grow(out.data, out.len, out.room);
	}
	memcpy(out.data + out.len, text, len);
	out.len += len;
}

void out_escape(const char *constant)
{
	out_append(constant);
}

void out_set_json(bool wanted)
{
	json = wanted;
}

bool out_is_json(void)
{
	return json;
}

const char *json_text(const char *text)
{
	const char *safe = out_safe(text);
	char *copy = arena_alloc(strlen(safe) * 2 + 3), *to = copy;

	*to++ = '"';
	for (; *safe; safe++) {
		if (*safe == '"' || *safe == '\\' || *safe == '\n' || *safe == '\t')
			*to++ = '\\';
		*to++ = *safe == '\n' ? 'n' : *safe == '\t' ? 't' : *safe;
	}
	*to = '"';
	return copy;
}

void out_text(const char *text)
{
	out_append(out_safe(text));
}

void out_printf(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = arena_alloc((size_t)MAX(n, 0) + 1);
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)MAX(n, 0) + 1, fmt, ap);
	va_end(ap);
	out_text(text);
}

void out_flush(void)
{
	if (out.len && fd_write_all(STDOUT_FILENO, out.data, out.len))
		out.failed = 1;
	out.len = 0;
}

void out_forget(void)
{
	out.data = NULL;
	out.len = out.room = 0;
}

void out_end(int status)
{
	out_flush();
	if (out.failed && status == 0) {
		err_printf("cannot write to standard output: %m\n");
		status = 1;
	}
	exit(status);
}

void err_printf(const char *fmt, ...)
{
	const char *safe;
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = arena_alloc((size_t)MAX(n, 0) + 1);
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)MAX(n, 0) + 1, fmt, ap);
	va_end(ap);
	out_flush();
	safe = out_safe(text);
	(void)!fd_write_all(STDERR_FILENO, safe, strlen(safe));
}

const char *text_repr(const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
	char *copy = arena_alloc(strlen(text) * 4 + 3), *to = copy;

	*to++ = quote;
	for (; *text; text++) {
		const char *escape = strchr("\nn\tt\rr", *text);

		if (*text == quote || *text == '\\') {
			*to++ = '\\';
			*to++ = *text;
		} else if (escape && ((unsigned char)*text < 0x20)) {
			*to++ = '\\';
			*to++ = escape[1];
		} else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			to += snprintf(to, 5, "\\x%02x", (unsigned int)*text);
		} else {
			*to++ = *text;
		}
	}
	*to = quote;
	return copy;
}

size_t out_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

struct table table_new(size_t columns, const char *const *keys)
{
	return (struct table){.columns = columns, .keys = keys};
}

const char **table_row(struct table *table)
{
	size_t cells = table->columns;

	if (table->rows == table->room) {
		table->room = table->room ? table->room * 2 : 32;
		table->cells = arena_grow(table->cells, table->rows * cells * sizeof(*table->cells),
		                          table->room * cells * sizeof(*table->cells));
	}
	return &table->cells[table->rows++ * cells];
}

/* An object a row, or one for all: see struct table. */
static void table_print_json(const struct table *table)
{
	for (size_t row = table->heading; row < table->rows; row++) {
		const char **cells = &table->cells[row * table->columns];

		if (!table->keys) {
			out_append(row == table->heading ? "{" : ", ");
			out_append(
			        arena_printf("%s: %s", json_text(cells[0]), json_text(cells[1])));
			continue;
		}
		for (size_t i = 0; i < table->columns; i++)
			out_append(arena_printf("%s%s: %s", i ? ", " : "{",
			                        json_text(table->keys[i]),
			                        cells[i] ? json_text(cells[i]) : "null"));
		out_append("}\n");
	}
	if (!table->keys)
		out_append(table->rows > table->heading ? "}\n" : "{}\n");
}

void table_print(const struct table *table)
{
	size_t *widths = arena_alloc(table->columns * sizeof(*widths));

	if (json) {
		table_print_json(table);
		return;
	}
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		const char *cell = table->cells[i];

		if (cell)
			widths[i % table->columns] =
			        MAX(widths[i % table->columns], out_width(cell));
	}
	for (size_t row = 0; row < table->rows; row++) {
		const char **cells = &table->cells[row * table->columns];

		for (size_t i = 0; i < table->columns && cells[i]; i++) {
			bool last = i + 1 == table->columns || !cells[i + 1];
			size_t pad = last ? 0 : widths[i] + 2 - out_width(cells[i]);

			out_printf("%s%*s", cells[i], (int)pad, "");
		}
		out_text("\n");
	}
}
