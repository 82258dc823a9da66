/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_BYTES_H
#define LIB_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

/* Little-endian integers at any address. */

static inline uint16_t le16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32_get(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le32_get(p + 4) << 32;
}

static inline void le16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void le32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static inline void le64_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put(p + 4, (uint32_t)(v >> 32));
}

/**
 * bytes_copy_text() - a string into a fixed field, always terminated, the rest zeroed
 * @dst:  written in full: dst_len bytes
 * @src:  borrowed; NUL-terminated
 *
 * The tail is zeroed because a fixed field that goes over a wire must not carry old memory (QSB-009).
 * Errors: 0; -1 if src did not fit (then dst holds the empty string).
 */
static inline int bytes_copy_text(char *dst, size_t dst_len, const char *src)
{
	size_t len = strlen(src);

	memset(dst, 0, dst_len);
	if (len >= dst_len)
		return -1;
	memcpy(dst, src, len);
	return 0;
}

#endif
