/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_TEXT_H
#define SERVICES_ADMIN_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * A text that grows: replies, events, values. All of its users' sizes have constant bounds
 * (proto/limits.h, model.h), so the only way to run out of memory is that the system has none: then
 * the process ends with a log line and starts anew from what the store says, as after kill -9.
 */
struct text {
	char *data; /* owned; NUL-terminated whenever it is not NULL */
	size_t len; /* bytes without that NUL */
	size_t room;
};

void text_add(struct text *t, const void *bytes, size_t len);
void text_puts(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_printf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_vprintf(struct text *t, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

/** text_clear() - empty, memory kept; text_free() - memory given back */
void text_clear(struct text *t);
void text_free(struct text *t);

/** text_get() - the text, "" if nothing was ever added */
const char *text_get(const struct text *t);

/** text_take() - the memory, given to the caller (never NULL); the text is empty afterwards */
char *text_take(struct text *t);

/* Memory or the end of the process. */
void *memory_get(size_t size);
void *memory_resize(void *old, size_t n, size_t size);
char *memory_text(const char *s);

#define AUTO_TEXT CLEANUP(text_free) struct text

bool text_equal(const char *a, const char *b);
bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);

#endif
