/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_WIRE_UTF8_H
#define LIB_WIRE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/**
 * utf8_decode() - one character, in its shortest form, not a surrogate, up to U+10FFFF
 * @text:  hostile; len bytes
 * Returns its bytes (1 … 4); 0: there is no valid character here.
 */
static inline size_t utf8_decode(const char *text, size_t len, uint32_t *ret_char)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *in = (const unsigned char *)text;
	uint32_t c;
	size_t n;

	if (len == 0)
		return 0;
	if (in[0] < 0x80) {
		*ret_char = in[0];
		return 1;
	}
	if ((in[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((in[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((in[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	c = in[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (in[i] & 0x3fU);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

#endif
