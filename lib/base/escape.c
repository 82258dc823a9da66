/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/escape.h"

#include <string.h>

#define ESCAPE_LEN 4 /* \xNN */

static void put_escape(char *dst, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";

	dst[0] = '\\';
	dst[1] = 'x';
	dst[2] = hex[byte >> 4];
	dst[3] = hex[byte & 15];
}

size_t escape_with(char *dst, size_t dst_len, const void *src, size_t src_len, escape_keep_fn *keep)
{
	const unsigned char *in = src;
	size_t out = 0;
	size_t i = 0;

	if (dst_len == 0)
		return 0;
	while (i < src_len) {
		size_t kept = in[i] == '\\' ? 0 : keep(in + i, src_len - i);
		size_t need = kept > 0 ? kept : ESCAPE_LEN;

		if (need >= dst_len - out)
			break;
		if (kept > 0)
			memcpy(dst + out, in + i, kept);
		else
			put_escape(dst + out, in[i]);
		out += need;
		i += kept > 0 ? kept : 1;
	}
	dst[out] = '\0';
	return out;
}

static size_t keep_ascii(const unsigned char *in, size_t len)
{
	(void)len;
	return in[0] >= 0x20 && in[0] <= 0x7e;
}

size_t escape_text(char *dst, size_t dst_len, const void *src, size_t src_len)
{
	return escape_with(dst, dst_len, src, src_len, keep_ascii);
}
