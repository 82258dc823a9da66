/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets between admin and store: pure. */
#include <string.h>

#include "services/admin/store.h"

static void put_text(struct wire_writer *w, const char *s)
{
	wire_put_bytes(w, s, strlen(s) + 1);
}

size_t store_encode(void *out, size_t max, const struct store_packet *p)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, p->kind);
	wire_put_u64(&w, p->seq);
	if (p->kind == STORE_ROW) {
		wire_put_u32(&w, p->row);
		wire_put_u32(&w, (uint32_t)strlen(p->owner));
		wire_put_u32(&w, (uint32_t)strlen(p->name));
		wire_put_u32(&w, p->value ? (uint32_t)strlen(p->value) : STORE_NO_VALUE);
		put_text(&w, p->owner);
		put_text(&w, p->name);
		put_text(&w, p->value ? p->value : "");
	} else if (p->kind == STORE_REFUSED) {
		put_text(&w, p->text);
	}
	return w.bad ? 0 : w.len;
}

/* The next len bytes and a NUL, with no NUL among them. */
static const char *take_text(struct wire_reader *r, uint32_t len, uint32_t max)
{
	const char *s = len <= max ? (const char *)wire_bytes(r, (size_t)len + 1) : NULL;

	if (!s || s[len] != 0 || memchr(s, 0, len)) {
		r->bad = true;
		return "";
	}
	return s;
}

static void take_row(struct wire_reader *r, struct store_packet *out)
{
	uint32_t owner, name, value;

	out->row = wire_u32(r);
	owner = wire_u32(r);
	name = wire_u32(r);
	value = wire_u32(r);
	out->owner = take_text(r, owner, 63);
	out->name = take_text(r, name, STORE_NAME_MAX);
	out->value = take_text(r, value == STORE_NO_VALUE ? 0 : value, STORE_VALUE_MAX);
	if (value == STORE_NO_VALUE)
		out->value = NULL;
}

int store_decode(const void *data, size_t len, struct store_packet *out)
{
	struct wire_reader r = wire_reader(data, len);
	uint32_t kind = wire_u32(&r);

	*out = (struct store_packet){.owner = "", .name = "", .text = ""};
	out->seq = wire_u64(&r);
	if (kind < STORE_LOAD || kind >= STORE_KINDS)
		return -1;
	out->kind = (enum store_kind)kind;
	if (out->kind == STORE_ROW)
		take_row(&r, out);
	else if (out->kind == STORE_REFUSED)
		out->text = take_text(&r, wire_left(&r) ? (uint32_t)wire_left(&r) - 1 : 0, 1024);
	return wire_end(&r) ? 0 : -1;
}
