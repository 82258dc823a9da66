/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/prompt.h"

#include "proto/text.h"

/*
 * Frames between the deciding process and the prompter. The prompter talks to GUI domains and is not
 * believed: its answer is a bounded text that the service compares with what it offered itself.
 */

static void put_texts(struct wire_writer *w, const struct prompt *prompt)
{
	text_put(w, prompt->guivm);
	text_put(w, prompt->source);
	text_put(w, prompt->service);
	text_put(w, prompt->argument);
	text_put(w, prompt->target);
}

void prompt_encode(struct wire_writer *w, const struct prompt *prompt)
{
	wire_put_u8(w, (uint8_t)prompt->kind);
	switch (prompt->kind) {
	case PROMPT_ASK:
		wire_put_u32(w, prompt->id);
		put_texts(w, prompt);
		wire_put_u32(w, prompt->n_targets);
		wire_put_u32(w, prompt->n_icons);
		break;
	case PROMPT_CANCEL:
		wire_put_u32(w, prompt->id);
		break;
	case PROMPT_NOTIFY:
		wire_put_u8(w, prompt->allowed);
		put_texts(w, prompt);
		break;
	case PROMPT_ANSWER:
		wire_put_u32(w, prompt->id);
		wire_put_u8(w, prompt->unreachable);
		text_put(w, prompt->answer);
		break;
	}
}

void prompt_encode_name(struct wire_writer *w, const char *name)
{
	text_put(w, name);
}

const char *prompt_decode_name(struct wire_reader *r)
{
	return text_get(r, PROMPT_NAME_MAX);
}

static void get_texts(struct wire_reader *r, struct prompt *out)
{
	out->guivm = text_get(r, PROMPT_NAME_MAX);
	out->source = text_get(r, PROMPT_TEXT_MAX);
	out->service = text_get(r, PROMPT_TEXT_MAX);
	out->argument = text_get(r, PROMPT_TEXT_MAX);
	out->target = text_get(r, PROMPT_TEXT_MAX);
}

static bool get_bool(struct wire_reader *r)
{
	uint8_t v = wire_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

int prompt_decode(struct wire_reader *r, struct prompt *out)
{
	uint8_t untrusted_kind = wire_u8(r);

	*out = (struct prompt){.guivm = "",
	                       .source = "",
	                       .service = "",
	                       .argument = "",
	                       .target = "",
	                       .answer = ""};
	if (untrusted_kind < PROMPT_ASK || untrusted_kind > PROMPT_ANSWER)
		return -1;
	out->kind = (enum prompt_kind)untrusted_kind;
	switch (out->kind) {
	case PROMPT_ASK:
		out->id = wire_u32(r);
		get_texts(r, out);
		out->n_targets = wire_u32(r);
		out->n_icons = wire_u32(r);
		return r->bad || out->n_targets > PROMPT_LIST_MAX || out->n_icons > PROMPT_LIST_MAX
		               ? -1
		               : 0;
	case PROMPT_CANCEL:
		out->id = wire_u32(r);
		break;
	case PROMPT_NOTIFY:
		out->allowed = get_bool(r);
		get_texts(r, out);
		break;
	case PROMPT_ANSWER:
		out->id = wire_u32(r);
		out->unreachable = get_bool(r);
		out->answer = text_get(r, PROMPT_ANSWER_MAX);
		break;
	}
	return wire_end(r) ? 0 : -1;
}
