/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/* A text in a frame between trusted processes: u16 length, bytes, NUL; no NUL inside. */

static inline void text_put(struct wire_writer *w, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX)
		w->bad = true;
	wire_put_u16(w, (uint16_t)len);
	wire_put_bytes(w, text, len + 1);
}

/** text_get() - borrowed from the reader; "" and a bad reader if it is not one of at most max bytes */
static inline const char *text_get(struct wire_reader *r, size_t max)
{
	size_t len = wire_u16(r);
	const char *text = (const char *)wire_bytes(r, len + 1);

	if (text && len <= max && strnlen(text, len + 1) == len)
		return text;
	r->bad = true;
	return "";
}

#endif
