/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/facts.h"

#include <string.h>

/*
 * The table of qubes between the facts helper, which parses JSON, and the policy service, which does
 * not. The service trusts what the table says, but reads it as bounded typed records: a helper that a
 * broken answer of the admin service confuses can send wrong facts, never wrong memory.
 */

static void put_text(struct wire_writer *w, const char *text)
{
	size_t len = strlen(text);

	if (len > FACTS_TEXT_MAX)
		w->bad = true;
	wire_put_u8(w, (uint8_t)len);
	wire_put_bytes(w, text, len + 1);
}

static const char *get_text(struct wire_reader *r)
{
	size_t len = wire_u8(r);
	const char *text = (const char *)wire_bytes(r, len + 1);

	if (text && len <= FACTS_TEXT_MAX && strnlen(text, len + 1) == len)
		return text;
	r->bad = true;
	return "";
}

void facts_encode_head(struct wire_writer *w, const struct facts_head *head)
{
	wire_put_u8(w, (uint8_t)head->kind);
	if (head->kind != FACTS_REFRESH)
		wire_put_u8(w, head->live);
	if (head->kind != FACTS_STALE)
		wire_put_u32(w, head->generation);
	if (head->kind == FACTS_FAILED)
		wire_put_u8(w, head->unreachable);
	if (head->kind == FACTS_TABLE)
		wire_put_u32(w, head->qubes);
	if (head->qubes > FACTS_QUBES_MAX)
		w->bad = true;
}

static bool get_bool(struct wire_reader *r)
{
	uint8_t v = wire_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

int facts_decode_head(struct wire_reader *r, struct facts_head *out)
{
	uint8_t untrusted_kind = wire_u8(r);

	*out = (struct facts_head){0};
	if (untrusted_kind < FACTS_REFRESH || untrusted_kind > FACTS_TABLE)
		return -1;
	out->kind = (enum facts_kind)untrusted_kind;
	if (out->kind != FACTS_REFRESH)
		out->live = get_bool(r);
	if (out->kind != FACTS_STALE)
		out->generation = wire_u32(r);
	if (out->kind == FACTS_FAILED)
		out->unreachable = get_bool(r);
	if (out->kind == FACTS_TABLE) {
		out->qubes = wire_u32(r);
		return r->bad || out->qubes > FACTS_QUBES_MAX ? -1 : 0;
	}
	return wire_end(r) ? 0 : -1;
}

void facts_encode_qube(struct wire_writer *w, const struct facts_qube *qube)
{
	size_t i;

	if (qube->n_tags > FACTS_TAGS_MAX || (qube->flags & ~FACTS_FLAGS_ALL)) {
		w->bad = true;
		return;
	}
	wire_put_u8(w, (uint8_t)qube->flags);
	wire_put_u8(w, (uint8_t)qube->n_tags);
	for (i = 0; i < FACTS_TEXTS; i++)
		put_text(w, qube->text[i]);
	for (i = 0; i < qube->n_tags; i++)
		put_text(w, qube->tags[i]);
}

int facts_decode_qube(struct wire_reader *r, struct facts_qube *out)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	out->flags = wire_u8(r);
	out->n_tags = wire_u8(r);
	for (i = 0; i < FACTS_TEXTS; i++)
		out->text[i] = get_text(r);
	for (i = 0; i < out->n_tags; i++)
		out->tags[i] = get_text(r);
	return r->bad || (out->flags & ~FACTS_FLAGS_ALL) || !out->text[FACTS_NAME][0] ? -1 : 0;
}
