/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_WIRE_WRITER_H
#define LIB_WIRE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/bytes.h"

/* A cursor that fills a caller's buffer; a put that does not fit marks it bad and writes nothing. */
struct wire_writer {
	uint8_t *data; /* borrowed */
	size_t max;    /* bytes of room */
	size_t len;    /* bytes written, <= max */
	bool bad;
};

static inline struct wire_writer wire_writer(void *data, size_t max)
{
	return (struct wire_writer){.data = data, .max = max};
}

/** wire_room() - n bytes of room to fill, counted as written; NULL once bad */
static inline uint8_t *wire_room(struct wire_writer *w, size_t n)
{
	uint8_t *p;

	if (w->bad || n > w->max - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->data + w->len;
	w->len += n;
	return p;
}

static inline void wire_put_bytes(struct wire_writer *w, const void *src, size_t n)
{
	uint8_t *p = wire_room(w, n);

	if (p && n > 0)
		memcpy(p, src, n);
}

static inline void wire_put_u8(struct wire_writer *w, uint8_t v)
{
	wire_put_bytes(w, &v, 1);
}

static inline void wire_put_u16(struct wire_writer *w, uint16_t v)
{
	uint8_t *p = wire_room(w, 2);

	if (p)
		le16_put(p, v);
}

static inline void wire_put_u32(struct wire_writer *w, uint32_t v)
{
	uint8_t *p = wire_room(w, 4);

	if (p)
		le32_put(p, v);
}

static inline void wire_put_u64(struct wire_writer *w, uint64_t v)
{
	uint8_t *p = wire_room(w, 8);

	if (p)
		le64_put(p, v);
}

#endif
