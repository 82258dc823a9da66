/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/policy.h"

#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/*
 * Questions and answers as packets of a kept connection. Both ends are trusted, and each checks the
 * other's bytes in full: what is decoded encodes to the same bytes.
 */

#define MAGIC_QUESTION 0x51504b53U /* "SKPQ" */
#define MAGIC_ANSWER   0x41504b53U /* "SKPA" */
#define FLAGS_ALL      (POLICY_JUST_EVALUATE | POLICY_ASSUME_YES | POLICY_HAS_SOURCE)

/* What the text form can say too: ASCII without newline. */
static bool text_legal(const char *text)
{
	for (; *text; text++)
		if (*text == '\n' || (unsigned char)*text > 0x7f)
			return false;
	return true;
}

/* Packet texts: length with the NUL in the head, bytes after it. */

static void put_text_len(struct wire_writer *w, const char *text, size_t max)
{
	size_t len = strlen(text) + 1;

	if (len > max || !text_legal(text))
		w->bad = true;
	wire_put_u16(w, (uint16_t)len);
}

static void put_text(struct wire_writer *w, const char *text)
{
	wire_put_bytes(w, text, strlen(text) + 1);
}

/* A text of len bytes with its NUL and no other; NULL and a bad reader if it is not one. */
static const char *get_text(struct wire_reader *r, size_t len, size_t max)
{
	const char *text = len > 0 && len <= max ? (const char *)wire_bytes(r, len) : NULL;

	if (text && strnlen(text, len) == len - 1 && text_legal(text))
		return text;
	r->bad = true;
	return NULL;
}

ssize_t policy_encode_question(void *out, size_t max, const struct policy_question *question)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, MAGIC_QUESTION);
	wire_put_u32(&w, question->id);
	wire_put_u32(&w, question->flags);
	wire_put_u64(&w, question->call);
	put_text_len(&w, question->source, POLICY_NAME_LEN);
	put_text_len(&w, question->requested_source, POLICY_NAME_LEN);
	put_text_len(&w, question->target, QREXEC_TARGET_LEN);
	put_text_len(&w, question->service, QREXEC_NAME_MAX);
	put_text(&w, question->source);
	put_text(&w, question->requested_source);
	put_text(&w, question->target);
	put_text(&w, question->service);
	if (question->flags & ~(uint32_t)FLAGS_ALL)
		return -1;
	if (question->requested_source[0] && !(question->flags & POLICY_HAS_SOURCE))
		return -1;
	return w.bad ? -1 : (ssize_t)w.len;
}

int policy_decode_question(const void *data, size_t len, struct policy_question *out)
{
	struct wire_reader r = wire_reader(data, len);
	uint32_t magic = wire_u32(&r);
	uint16_t untrusted_len[4];
	size_t i;

	*out = (struct policy_question){.id = wire_u32(&r)};
	out->flags = wire_u32(&r);
	out->call = wire_u64(&r);
	for (i = 0; i < ARRAY_LEN(untrusted_len); i++)
		untrusted_len[i] = wire_u16(&r);
	out->source = get_text(&r, untrusted_len[0], POLICY_NAME_LEN);
	out->requested_source = get_text(&r, untrusted_len[1], POLICY_NAME_LEN);
	out->target = get_text(&r, untrusted_len[2], QREXEC_TARGET_LEN);
	out->service = get_text(&r, untrusted_len[3], QREXEC_NAME_MAX);
	if (!wire_end(&r) || magic != MAGIC_QUESTION || (out->flags & ~(uint32_t)FLAGS_ALL))
		return -1;
	if (out->requested_source[0] && !(out->flags & POLICY_HAS_SOURCE))
		return -1;
	return 0;
}

/* The texts of an answer, in the order of the packet. */
#define ANSWER_TEXTS 6

struct text_field {
	size_t off;
	size_t len;
};

#define FIELD(name)                                                                                \
	{                                                                                          \
		offsetof(struct policy_answer, name), sizeof(((struct policy_answer *)0)->name)    \
	}

static const struct text_field answer_fields[ANSWER_TEXTS] = {
        FIELD(user),          FIELD(target),  FIELD(target_uuid), FIELD(requested_target),
        FIELD(policy_source), FIELD(service),
};

static const char *answer_text(const struct policy_answer *answer, size_t i)
{
	return (const char *)answer + answer_fields[i].off;
}

/* What a decision means: texts and autostart belong to an allowed call only. */
static bool answer_consistent(const struct policy_answer *answer)
{
	size_t i;

	if (answer->verdict == POLICY_ALLOWED)
		return answer->user[0] && answer->target[0];
	for (i = 0; i < ANSWER_TEXTS; i++)
		if (answer_text(answer, i)[0])
			return false;
	return !answer->autostart;
}

ssize_t policy_encode_answer(void *out, size_t max, const struct policy_answer *answer)
{
	struct wire_writer w = wire_writer(out, max);
	size_t i;

	if (!answer_consistent(answer))
		return -1;
	wire_put_u32(&w, MAGIC_ANSWER);
	wire_put_u32(&w, answer->id);
	wire_put_u8(&w, (uint8_t)answer->verdict);
	wire_put_u8(&w, answer->autostart);
	for (i = 0; i < ANSWER_TEXTS; i++)
		put_text_len(&w, answer_text(answer, i), answer_fields[i].len);
	for (i = 0; i < ANSWER_TEXTS; i++)
		put_text(&w, answer_text(answer, i));
	return w.bad ? -1 : (ssize_t)w.len;
}

int policy_decode_answer(const void *data, size_t len, struct policy_answer *out)
{
	struct wire_reader r = wire_reader(data, len);
	uint32_t magic = wire_u32(&r);
	uint16_t untrusted_len[ANSWER_TEXTS];
	uint8_t untrusted_verdict, untrusted_autostart;
	size_t i;

	memset(out, 0, sizeof(*out));
	out->id = wire_u32(&r);
	untrusted_verdict = wire_u8(&r);
	untrusted_autostart = wire_u8(&r);
	for (i = 0; i < ANSWER_TEXTS; i++)
		untrusted_len[i] = wire_u16(&r);
	for (i = 0; i < ANSWER_TEXTS; i++) {
		const char *text = get_text(&r, untrusted_len[i], answer_fields[i].len);

		if (text)
			memcpy((char *)out + answer_fields[i].off, text, untrusted_len[i]);
	}
	if (!wire_end(&r) || magic != MAGIC_ANSWER || untrusted_verdict > POLICY_NO_ANSWER ||
	    untrusted_autostart > 1)
		return -1;
	out->verdict = (enum policy_verdict)untrusted_verdict;
	out->autostart = untrusted_autostart;
	return answer_consistent(out) ? 0 : -1;
}
