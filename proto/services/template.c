/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/template.h"

#include <stdbool.h>
#include <string.h>

#define FIELDS             11
#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

struct field {
	const char *text;
	size_t len;
};

/* Of these letters, the first one not a minus. */
static bool take(const struct field *f, const char *letters, size_t min, char *dst)
{
	if (f->len < min || f->len > TEMPLATE_SHORT_MAX || (f->len > 0 && f->text[0] == '-'))
		return false;
	for (size_t i = 0; i < f->len; i++) {
		if (f->text[i] == '\0' || !strchr(letters, f->text[i]))
			return false;
	}
	memcpy(dst, f->text, f->len);
	dst[f->len] = '\0';
	return true;
}

static bool take_name(const struct field *f, char *dst)
{
	const size_t prefix = strlen(TEMPLATE_PREFIX);
	struct field rest;

	if (f->len < prefix || memcmp(f->text, TEMPLATE_PREFIX, prefix) != 0)
		return false;
	rest = (struct field){.text = f->text + prefix, .len = f->len - prefix};
	return take(&rest, LETTERS_AND_DIGITS "._+-", 1, dst);
}

static bool take_size(const struct field *f, uint64_t *ret)
{
	*ret = 0;
	if (f->len == 0 || f->len > 18)
		return false;
	for (size_t i = 0; i < f->len; i++) {
		if (f->text[i] < '0' || f->text[i] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(f->text[i] - '0');
	}
	return true;
}

/* Digits, up to max of them; how many. */
static size_t digits(const struct field *f, size_t at, size_t max)
{
	size_t n = 0;

	while (n < max && at + n < f->len && f->text[at + n] >= '0' && f->text[at + n] <= '9')
		n++;
	return n;
}

/* "2026-1-31 7:05", or seconds since 1970. */
static bool take_built(const struct field *f, char *dst)
{
	static const struct {
		size_t min, max;
		char end;
	} parts[] = {{4, 4, '-'}, {1, 2, '-'}, {1, 2, ' '}, {1, 2, ':'}, {1, 2, '\0'}};
	size_t at = 0;

	if (!take(f, "0123456789-: ", 1, dst))
		return false;
	if (digits(f, 0, f->len) == f->len)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t n = digits(f, at, parts[i].max);

		at += n;
		if (n < parts[i].min)
			return false;
		if (parts[i].end && (at == f->len || f->text[at++] != parts[i].end))
			return false;
	}
	return at == f->len;
}

/* Up to the end mark, or the end: fields between bars. False: not eleven. */
static bool split(const char *record, size_t len, struct field fields[FIELDS])
{
	size_t n = 0;
	size_t begin = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && record[i] != '|')
			continue;
		if (n == FIELDS)
			return false;
		fields[n++] = (struct field){.text = record + begin, .len = i - begin};
		begin = i + 1;
	}
	return n == FIELDS;
}

static enum template_result check(const struct field f[FIELDS], struct template_record *ret)
{
	static const char version[] = LETTERS_AND_DIGITS "._+~";

	*ret = (struct template_record){0};
	if (!take_name(&f[0], ret->name))
		return TEMPLATE_E_NAME;
	if (!take(&f[1], version, 0, ret->epoch) || !take(&f[2], version, 0, ret->version) ||
	    !take(&f[3], version, 0, ret->release))
		return TEMPLATE_E_VERSION;
	if (!take(&f[4], LETTERS_AND_DIGITS "._+-", 1, ret->repository))
		return TEMPLATE_E_REPOSITORY;
	if (!take_size(&f[5], &ret->size))
		return TEMPLATE_E_SIZE;
	if (!take_built(&f[6], ret->built))
		return TEMPLATE_E_BUILT;
	if (!take(&f[7], LETTERS_AND_DIGITS "._+()-", 1, ret->license))
		return TEMPLATE_E_LICENSE;
	ret->untrusted_url = f[8].text;
	ret->url_len = f[8].len;
	ret->untrusted_summary = f[9].text;
	ret->summary_len = f[9].len;
	ret->untrusted_description = f[10].text;
	ret->description_len = f[10].len;
	return TEMPLATE_OK;
}

enum template_result template_next(const char *answer, size_t len, size_t *at,
                                   struct template_record *ret)
{
	const char *record = answer + *at;
	size_t left = len - *at;
	struct field fields[FIELDS];
	size_t end = 0;

	if (left == 0)
		return TEMPLATE_END;
	while (end < left && !(record[end] == '|' && end + 1 < left && record[end + 1] == '\n')) {
		if ((unsigned char)record[end] > 0x7f || record[end] == '\0')
			return TEMPLATE_E_TEXT;
		end++;
	}
	if (!split(record, end, fields))
		return TEMPLATE_E_FIELDS;
	*at += end < left ? end + 2 : end;
	return check(fields, ret);
}

const char *template_error(enum template_result result)
{
	static const char *const texts[] = {
	        [TEMPLATE_OK] = "",
	        [TEMPLATE_END] = "",
	        [TEMPLATE_E_TEXT] = "a byte that is not ASCII",
	        [TEMPLATE_E_FIELDS] = "a record without eleven fields",
	        [TEMPLATE_E_NAME] = "a name that no template has",
	        [TEMPLATE_E_VERSION] = "an epoch, version or release of other letters",
	        [TEMPLATE_E_REPOSITORY] = "a name that no repository has",
	        [TEMPLATE_E_SIZE] = "a size that is no number",
	        [TEMPLATE_E_BUILT] = "a time that is none",
	        [TEMPLATE_E_LICENSE] = "a license of other letters",
	};

	return texts[result];
}
