/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define BLOCK_SIZE 32768 /* bytes; chosen: a listing of 200 qubes takes some twenty of them */

struct block {
	struct block *before;
	size_t used, size;
	_Alignas(16) char data[];
};

static struct block *newest;

static NORETURN void out_of_memory(void)
{
	static const char text[] = "no memory left: close something and try again\n";

	(void)!fd_write_all(STDERR_FILENO, text, sizeof(text) - 1);
	exit(1);
}

static struct block *block_new(size_t size)
{
	struct block *block = malloc(sizeof(*block) + size);

	if (!block)
		out_of_memory();
	*block = (struct block){.before = newest, .size = size};
	newest = block;
	return block;
}

void *arena_alloc(size_t size)
{
	struct block *block = newest;
	void *result;

	if (size > SIZE_MAX / 2)
		out_of_memory();
	size = (size + 15) & ~(size_t)15;
	if (!block || block->size - block->used < size)
		block = block_new(MAX(size, (size_t)BLOCK_SIZE));
	result = block->data + block->used;
	block->used += size;
	memset(result, 0, size);
	return result;
}

void *arena_grow(const void *old, size_t used, size_t size)
{
	void *copy = arena_alloc(size);

	if (used)
		memcpy(copy, old, used);
	return copy;
}

char *arena_copy(const void *data, size_t len)
{
	char *copy = arena_alloc(len + 1);

	if (len)
		memcpy(copy, data, len);
	return copy;
}

char *arena_dup(const char *text)
{
	return arena_copy(text, strlen(text));
}

char *arena_printf(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	text = arena_alloc((size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

void *arena_mark(void)
{
	return block_new(BLOCK_SIZE);
}

void arena_release(void *mark)
{
	bool last = false;

	while (newest && !last) {
		struct block *block = newest;

		last = block == mark;
		newest = block->before;
		free(block);
	}
}

void text_list_add(struct text_list *list, const char *text)
{
	if (list->n == list->room) {
		list->room = list->room ? list->room * 2 : 16;
		list->items = arena_grow(list->items, list->n * sizeof(*list->items),
		                         list->room * sizeof(*list->items));
	}
	list->items[list->n++] = text;
}

struct text_list text_list_lines(const char *text)
{
	struct text_list list = {0};

	while (*text) {
		size_t len = strcspn(text, "\n");

		text_list_add(&list, arena_copy(text, len));
		text += len + (text[len] == '\n');
	}
	return list;
}

int text_list_has(const struct text_list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], text) == 0)
			return 1;
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void text_list_sort(struct text_list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_texts);
}

char *text_list_join(const struct text_list *list, const char *separator)
{
	size_t len = 0, at = 0, between = strlen(separator);
	char *text;

	for (size_t i = 0; i < list->n; i++)
		len += strlen(list->items[i]) + between;
	text = arena_alloc(len + 1);
	for (size_t i = 0; i < list->n; i++) {
		size_t n = strlen(list->items[i]);

		if (i) {
			memcpy(text + at, separator, between);
			at += between;
		}
		memcpy(text + at, list->items[i], n);
		at += n;
	}
	return text;
}
