/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/services/policy/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compat.h"

/* Programs with this are linked with --wrap for each of these functions: meson.build. */

static int fail_at;   /* which one fails; 0: none */
static int n_allocs;  /* since fail_at was set */
static bool fail_all; /* and all that follow */

static bool fails(void)
{
	if (fail_at == 0)
		return false;
	n_allocs++;
	if (n_allocs != fail_at && !(fail_all && n_allocs > fail_at))
		return false;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_asprintf(char **out, const char *fmt, ...) PRINTF_LIKE(2, 3);
int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...) PRINTF_LIKE(3, 4);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : __real_strndup(text, n);
}

static int PRINTF_LIKE(2, 0) print_into(char **out, const char *fmt, va_list args)
{
	return fails() ? -1 : vasprintf(out, fmt, args);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = print_into(out, fmt, args);
	va_end(args);
	return n;
}

int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = print_into(out, fmt, args);
	va_end(args);
	return n;
}

void alloc_fail_from(int at, bool all)
{
	n_allocs = 0;
	fail_all = all;
	fail_at = at;
}

int alloc_count(void)
{
	return n_allocs;
}
