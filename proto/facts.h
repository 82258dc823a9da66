/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_FACTS_H
#define PROTO_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/*
 * What the policy service is told about qubes by its facts helper, and what it asks of it. One frame
 * each; integers little-endian.
 *   refresh:  u8 kind, u32 generation                              service -> helper
 *   stale:    u8 kind, u8 live                                     helper -> service
 *   failed:   u8 kind, u8 live, u32 generation, u8 unreachable
 *   table:    u8 kind, u8 live, u32 generation, u32 qubes, then the qubes
 *   qube:     u8 flags, u8 tags, then 8 texts and the tags: u8 length, bytes, NUL
 * Source: doc/protocol/policy.md, System description. Test: tests/unit/proto/facts.c, fuzz/proto_facts.c
 */

#define FACTS_FRAME_MAX (8U << 20) /* bytes; chosen, over 4096 qubes with 30 tags each */
#define FACTS_QUBES_MAX 4096U      /* chosen */
#define FACTS_TEXT_MAX  63U        /* bytes of any text; chosen */
#define FACTS_TAGS_MAX  255U

enum facts_kind { FACTS_REFRESH = 1, FACTS_STALE, FACTS_FAILED, FACTS_TABLE };

struct facts_head {
	enum facts_kind kind;
	bool live;           /* changes will be announced; false: ask again for every question */
	uint32_t generation; /* of the refresh that this answers; 0: unasked */
	bool unreachable;    /* FAILED: no answer at all; false: an exception was returned */
	uint32_t qubes;      /* TABLE: records that follow */
};

enum facts_text {
	FACTS_NAME,
	FACTS_UUID,
	FACTS_TYPE,
	FACTS_DEFAULT_DISPVM,
	FACTS_ICON,
	FACTS_GUIVM,
	FACTS_RELAYVM,
	FACTS_TRANSPORT_RPC,
	FACTS_TEXTS
};

enum facts_flag {
	FACTS_TEMPLATE_FOR_DISPVMS = 1 << 0,
	FACTS_INTERNAL = 1 << 1,
	FACTS_RUNNING = 1 << 2,
};
#define FACTS_FLAGS_ALL 7U

/* One qube. Texts are borrowed and NUL-terminated; "" stands for none. */
struct facts_qube {
	uint32_t flags;
	const char *text[FACTS_TEXTS];
	size_t n_tags;
	const char *tags[FACTS_TAGS_MAX];
};

/** facts_encode_head(), facts_encode_qube() - a writer that is bad afterwards did not have room, or
 *  a text or a number is over its bound */
void facts_encode_head(struct wire_writer *w, const struct facts_head *head);
void facts_encode_qube(struct wire_writer *w, const struct facts_qube *qube);

/** facts_decode_head() - the start of a frame; for all but a table it must be the whole.
 *  Errors: 0, or -1: malformed. */
int facts_decode_head(struct wire_reader *r, struct facts_head *out) MUST_CHECK;

/** facts_decode_qube() - the next record; texts point into the reader's memory. 0 or -1. */
int facts_decode_qube(struct wire_reader *r, struct facts_qube *out) MUST_CHECK;

#endif
