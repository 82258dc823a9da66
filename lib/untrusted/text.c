/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/untrusted/text.h"

#include <string.h>

#include "lib/base/compat.h"
#include "lib/base/escape.h"

/* By the number of bytes: the lead byte without its payload, and the least code of that length. */
static const struct form {
	unsigned char mask;
	unsigned char lead;
	uint32_t least;
} forms[] = {
        [1] = {0x80, 0x00, 0},
        [2] = {0xe0, 0xc0, 0x80},
        [3] = {0xf0, 0xe0, 0x800},
        [4] = {0xf8, 0xf0, 0x10000},
};

static size_t length_by_lead(unsigned char lead)
{
	for (size_t n = 1; n < ARRAY_LEN(forms); n++) {
		if ((lead & forms[n].mask) == forms[n].lead)
			return n;
	}
	return 0;
}

/*
 * As utf8_decode(), but surrogates and numbers beyond Unicode are characters too: cleaning puts one
 * '_' for them as a whole, as the original does.
 */
static size_t decode_any(const unsigned char *untrusted_in, size_t len, uint32_t *ret_code)
{
	size_t n = len > 0 && untrusted_in[0] <= 0xf4 ? length_by_lead(untrusted_in[0]) : 0;
	uint32_t code;

	if (n == 0 || n > len)
		return 0;
	code = untrusted_in[0] & (unsigned char)~forms[n].mask;
	for (size_t i = 1; i < n; i++) {
		if ((untrusted_in[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (untrusted_in[i] & 0x3fU);
	}
	if (code < forms[n].least)
		return 0;
	*ret_code = code;
	return n;
}

size_t utf8_decode(const unsigned char *untrusted_in, size_t len, uint32_t *ret_code)
{
	uint32_t code;
	size_t n = decode_any(untrusted_in, len, &code);

	if (n == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return n;
}

/* The bytes of the character in front if it may be shown, else 0. */
static size_t shown(const unsigned char *untrusted_in, size_t len)
{
	uint32_t code;
	size_t n = utf8_decode(untrusted_in, len, &code);

	return n > 0 && untrusted_char_shown(code) ? n : 0;
}

bool untrusted_text_shown(const char *untrusted_text, size_t len)
{
	const unsigned char *in = (const unsigned char *)untrusted_text;
	size_t n;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i += n) {
		/* All of it, mostly; and a deep tree's paths are looked at again with each object. */
		n = in[i] >= 0x20 && in[i] <= 0x7e ? 1 : shown(in + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

size_t untrusted_text_clean(char *dst, size_t dst_len, const char *untrusted_text)
{
	const unsigned char *in = (const unsigned char *)untrusted_text;
	size_t left = strlen(untrusted_text);
	size_t out = 0;

	if (dst_len == 0)
		return 0;
	while (left > 0 && out + 1 < dst_len) {
		uint32_t code;
		size_t n = decode_any(in, left, &code);
		size_t kept = n > 0 && untrusted_char_shown(code) ? n : 0;

		/* One that fills dst to the last byte is dropped: callers compare with the original. */
		if (kept > 1 && kept + 1 >= dst_len - out)
			break;
		if (kept > 0)
			memcpy(dst + out, in, kept);
		else
			dst[out] = '_';
		out += kept > 0 ? kept : 1;
		n = n > 0 ? n : 1;
		in += n;
		left -= n;
	}
	dst[out] = '\0';
	return out + 1;
}

size_t untrusted_text_escape(char *dst, size_t dst_len, const void *untrusted_text, size_t len)
{
	return escape_with(dst, dst_len, untrusted_text, len, shown);
}
