/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of two versions of a package is newer, by RPM's rules. Pure. */
#include <stdbool.h>
#include <string.h>

#include "proto/services/rpm.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *skip_separators(const char *p)
{
	while (*p && !is_digit(*p) && !is_letter(*p) && *p != '~' && *p != '^')
		p++;
	return p;
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, MIN(a_len, b_len));

	if (r == 0 && a_len != b_len)
		r = a_len < b_len ? -1 : 1;
	return r < 0 ? -1 : r > 0;
}

/* Of any length: without zeros in front, the longer number is the larger. */
static int compare_numbers(const char *a, size_t a_len, const char *b, size_t b_len)
{
	while (a_len > 0 && *a == '0')
		a++, a_len--;
	while (b_len > 0 && *b == '0')
		b++, b_len--;
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return compare_text(a, a_len, b, b_len);
}

static size_t run(const char *p, bool (*of)(char c))
{
	size_t n = 0;

	while (of(p[n]))
		n++;
	return n;
}

/* The next parts of both, from where neither is a separator; moves behind them. */
static int compare_part(const char **a, const char **b)
{
	bool number = is_digit(**a);
	size_t a_len = run(*a, number ? is_digit : is_letter);
	size_t b_len = run(*b, number ? is_digit : is_letter);
	int r;

	/* One has a number and the other letters. */
	if (b_len == 0)
		return number ? 1 : -1;
	r = number ? compare_numbers(*a, a_len, *b, b_len) : compare_text(*a, a_len, *b, b_len);
	*a += a_len;
	*b += b_len;
	return r;
}

/* A '~' or '^' at the beginning of one: moves behind it if both have it; else *ret_result, and true. */
static bool compare_mark(const char **a, const char **b, int *ret_result)
{
	char x = **a, y = **b;

	if (x == y) {
		(*a)++, (*b)++;
		return false;
	}
	if (x == '~' || y == '~')
		*ret_result = x == '~' ? -1 : 1;
	else if (!x || !y)
		*ret_result = x ? 1 : -1;
	else
		*ret_result = x == '^' ? -1 : 1;
	return true;
}

static bool is_mark(char c)
{
	return c == '~' || c == '^';
}

int rpm_version_compare(const char *a, const char *b)
{
	int r = 0;

	while (r == 0) {
		a = skip_separators(a);
		b = skip_separators(b);
		if (is_mark(*a) || is_mark(*b)) {
			if (compare_mark(&a, &b, &r))
				return r;
			continue;
		}
		if (!*a || !*b)
			return *a ? 1 : *b ? -1 : 0;
		r = compare_part(&a, &b);
	}
	return r;
}
