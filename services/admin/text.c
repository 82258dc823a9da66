/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts that grow, and memory for the model. */
#include "services/admin/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

static NORETURN void no_memory(void)
{
	LOG("no memory: ending, to start anew from the store");
	exit(111);
}

void *memory_get(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		no_memory();
	return p;
}

void *memory_resize(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n ? n : 1, size);

	if (!p)
		no_memory();
	return p;
}

char *memory_text(const char *s)
{
	char *p = strdup(s);

	if (!p)
		no_memory();
	return p;
}

static void make_room(struct text *t, size_t more)
{
	size_t room = t->room ? t->room : 64;

	if (more >= SIZE_MAX / 2 - t->len)
		no_memory();
	while (room <= t->len + more)
		room *= 2;
	if (room == t->room)
		return;
	t->data = memory_resize(t->data, room, 1);
	t->room = room;
}

void text_add(struct text *t, const void *bytes, size_t len)
{
	make_room(t, len);
	if (len > 0)
		memcpy(t->data + t->len, bytes, len);
	t->len += len;
	t->data[t->len] = 0;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_char(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_vprintf(struct text *t, const char *fmt, va_list args)
{
	char small[512];
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(small, sizeof(small), fmt, args);
	if (n < 0)
		no_memory();
	if ((size_t)n < sizeof(small)) {
		text_add(t, small, (size_t)n);
	} else {
		make_room(t, (size_t)n);
		vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vprintf(t, fmt, args);
	va_end(args);
}

void text_clear(struct text *t)
{
	t->len = 0;
	if (t->data)
		t->data[0] = 0;
}

void text_free(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

const char *text_get(const struct text *t)
{
	return t->data ? t->data : "";
}

char *text_take(struct text *t)
{
	char *data = t->data ? t->data : memory_text("");

	*t = (struct text){0};
	return data;
}

bool text_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

bool text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), end = strlen(suffix);

	return len >= end && strcmp(s + len - end, suffix) == 0;
}
