/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_PROMPT_H
#define PROTO_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/*
 * Between the policy service, which decides, and its prompter, which carries questions and notices to
 * GUI domains. One frame each; integers little-endian, texts as in proto/text.h.
 *   ask:     u8 kind, u32 id, guivm, source, service, argument, default, u32 targets, u32 icons, then
 *            the targets and pairs of name and icon
 *   cancel:  u8 kind, u32 id
 *   notify:  u8 kind, u8 allowed, guivm, source, service, argument, target
 *   answer:  u8 kind, u32 id, u8 unreachable, answer         prompter -> service
 * Source: doc/protocol/policy.md, Prompt service. Test: tests/unit/proto/prompt.c, fuzz/proto_prompt.c
 */

#define PROMPT_FRAME_MAX                                                                           \
	(2U << 20)             /* bytes; chosen, over 4096 targets and 8192 icons of 64 bytes */
#define PROMPT_TEXT_MAX 65535U /* bytes: service, argument, target as sent */
#define PROMPT_NAME_MAX 80U    /* bytes: names, offered targets, icons */
#define PROMPT_LIST_MAX 8192U  /* targets, icons; chosen */
#define PROMPT_ANSWER_MAX                                                                          \
	256U /* bytes of an answer that is carried; a longer one is cut here
					 * and can match nothing that was offered */

enum prompt_kind { PROMPT_ASK = 1, PROMPT_CANCEL, PROMPT_NOTIFY, PROMPT_ANSWER };

/* Any of the frames; texts are borrowed. The lists of an ask follow the head. */
struct prompt {
	enum prompt_kind kind;
	uint32_t id;
	bool allowed;     /* NOTIFY: resolution */
	bool unreachable; /* ANSWER: the prompt service could not be asked */
	const char *guivm;
	const char *source;
	const char *service;
	const char *argument;
	const char *target; /* NOTIFY: target; ASK: default target, "" for none */
	const char *answer;
	uint32_t n_targets;
	uint32_t n_icons;
};

/** prompt_encode() - all but the lists of an ask; a bad writer: no room, or a text is too long */
void prompt_encode(struct wire_writer *w, const struct prompt *prompt);
void prompt_encode_name(struct wire_writer *w, const char *name);

/**
 * prompt_decode() - a frame; for an ask the reader stands at the lists afterwards: n_targets names,
 * then n_icons pairs, each by prompt_decode_name(), then wire_end()
 * Errors: 0, or -1: malformed.
 */
int prompt_decode(struct wire_reader *r, struct prompt *out) MUST_CHECK;
const char *prompt_decode_name(struct wire_reader *r);

#endif
