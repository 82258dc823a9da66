/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/text.h"

/*
 * The text is dom0's own, but the rules on encoding and white space decide what a rule says, so
 * they are exact: a word that another reader would split is a rule that says something else.
 */

/* Lengths by lead byte, and the range of the second byte that excludes overlong forms,
 * surrogates and what lies beyond U+10FFFF. */
static size_t sequence_len(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = 0x80;
	*ret_high = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2)
		return 0;
	if (lead < 0xe0)
		return 2;
	if (lead < 0xf0) {
		if (lead == 0xe0)
			*ret_low = 0xa0;
		if (lead == 0xed)
			*ret_high = 0x9f;
		return 3;
	}
	if (lead == 0xf0)
		*ret_low = 0x90;
	if (lead == 0xf4)
		*ret_high = 0x8f;
	return lead < 0xf5 ? 4 : 0;
}

bool text_utf8(const char *p, size_t len)
{
	const uint8_t *s = (const uint8_t *)p;
	size_t i = 0;

	while (i < len) {
		uint8_t low;
		uint8_t high;
		size_t n;

		if (s[i] < 0x80) {
			i++;
			continue;
		}
		n = sequence_len(s[i], &low, &high);
		if (n == 0 || n > len - i || s[i + 1] < low || s[i + 1] > high)
			return false;
		for (size_t k = 2; k < n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += n;
	}
	return true;
}

/* U+0085 and U+00A0; U+1680; U+2000 to 200A, 2028, 2029, 202F, 205F; U+3000. */
static size_t wide_space(const uint8_t *s, size_t len)
{
	if (len >= 2 && s[0] == 0xc2)
		return s[1] == 0x85 || s[1] == 0xa0 ? 2 : 0;
	if (len < 3)
		return 0;
	if (s[0] == 0xe1)
		return s[1] == 0x9a && s[2] == 0x80 ? 3 : 0;
	if (s[0] == 0xe3)
		return s[1] == 0x80 && s[2] == 0x80 ? 3 : 0;
	if (s[0] != 0xe2)
		return 0;
	if (s[1] == 0x81)
		return s[2] == 0x9f ? 3 : 0;
	if (s[1] != 0x80)
		return 0;
	return s[2] <= 0x8a || s[2] == 0xa8 || s[2] == 0xa9 || s[2] == 0xaf ? 3 : 0;
}

size_t text_space(const char *p, const char *end)
{
	uint8_t c;

	if (p >= end)
		return 0;
	c = (uint8_t)*p;
	if (c < 0x80)
		return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) ? 1 : 0;
	return wide_space((const uint8_t *)p, (size_t)(end - p));
}

bool text_line(struct text_lines *lines, struct slice *ret_line)
{
	const char *start = lines->p;
	const char *p = start;

	if (start == lines->end)
		return false;
	while (p < lines->end && *p != '\n' && *p != '\r')
		p++;
	*ret_line = (struct slice){start, (size_t)(p - start)};
	if (p < lines->end && *p == '\r' && p + 1 < lines->end && p[1] == '\n')
		p++;
	lines->p = p < lines->end ? p + 1 : p;
	lines->line++;
	return true;
}

/* Bytes of the white space character that ends at end; text is valid UTF-8. */
static size_t space_before(const char *start, const char *end)
{
	const char *p = end;

	while (p > start) {
		p--;
		if (((uint8_t)*p & 0xc0) != 0x80)
			break;
	}
	return text_space(p, end) == (size_t)(end - p) ? (size_t)(end - p) : 0;
}

struct slice text_trim(struct slice s)
{
	size_t n;

	while ((n = text_space(s.p, s.p + s.len)) > 0) {
		s.p += n;
		s.len -= n;
	}
	while (s.len > 0 && (n = space_before(s.p, s.p + s.len)) > 0)
		s.len -= n;
	return s;
}

bool text_word(struct slice *rest, struct slice *ret_word)
{
	const char *p = rest->p;
	const char *end = rest->p + rest->len;
	const char *start;
	size_t n;

	while ((n = text_space(p, end)) > 0)
		p += n;
	start = p;
	while (p < end && text_space(p, end) == 0)
		p++;
	*ret_word = (struct slice){start, (size_t)(p - start)};
	*rest = (struct slice){p, (size_t)(end - p)};
	return p > start;
}

uint32_t text_columns(const char *p, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((uint8_t)p[i] & 0xc0) != 0x80;
	return n;
}
