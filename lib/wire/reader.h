/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_WIRE_READER_H
#define LIB_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/bytes.h"

/*
 * A cursor over private bytes whose first failure sticks. Every get past the end gives zero or NULL
 * and marks the reader bad; wire_end() is true only if nothing failed and nothing is left over.
 */
struct wire_reader {
	const uint8_t *data; /* borrowed */
	size_t len;          /* bytes */
	size_t at;           /* bytes taken, <= len */
	bool bad;
};

static inline struct wire_reader wire_reader(const void *data, size_t len)
{
	return (struct wire_reader){.data = data, .len = len};
}

static inline size_t wire_left(const struct wire_reader *r)
{
	return r->bad ? 0 : r->len - r->at;
}

/** wire_bytes() - the next n bytes, borrowed from the reader's memory; NULL once bad */
static inline const uint8_t *wire_bytes(struct wire_reader *r, size_t n)
{
	const uint8_t *p;

	if (r->bad || n > r->len - r->at) {
		r->bad = true;
		return NULL;
	}
	p = r->data + r->at;
	r->at += n;
	return p;
}

static inline uint8_t wire_u8(struct wire_reader *r)
{
	const uint8_t *p = wire_bytes(r, 1);

	return p ? *p : 0;
}

static inline uint16_t wire_u16(struct wire_reader *r)
{
	const uint8_t *p = wire_bytes(r, 2);

	return p ? le16_get(p) : 0;
}

static inline uint32_t wire_u32(struct wire_reader *r)
{
	const uint8_t *p = wire_bytes(r, 4);

	return p ? le32_get(p) : 0;
}

static inline uint64_t wire_u64(struct wire_reader *r)
{
	const uint8_t *p = wire_bytes(r, 8);

	return p ? le64_get(p) : 0;
}

/** wire_copy() - the next n bytes into dst, which is zeroed if the reader is bad */
static inline void wire_copy(struct wire_reader *r, void *dst, size_t n)
{
	const uint8_t *p = wire_bytes(r, n);

	if (p)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

static inline bool wire_end(const struct wire_reader *r)
{
	return !r->bad && r->at == r->len;
}

#endif
