/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_DECISION_H
#define PROTO_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * One decision as the policy service tells it to its recorder, which writes the log. One frame:
 *   u64 time (ns since 1970), u8 verdict, u8 flags, u32 line, u32 lost, then the texts in the order
 *   of the struct, as in proto/text.h.
 * Test: tests/unit/proto/decision.c, fuzz/proto_decision.c
 */

#define DECISION_FRAME_MAX (256U << 10) /* bytes; chosen, over three texts of 64 KiB */
#define DECISION_TEXT_MAX  65535U

enum decision_flag {
	DECISION_JUST = 1 << 0,     /* only asked whether, nothing was executed */
	DECISION_ASSUMED = 1 << 1,  /* an ask taken as answered with yes */
	DECISION_PROMPTED = 1 << 2, /* a person answered */
	DECISION_UNKNOWN_TARGET = 1 << 3,
	DECISION_IGNORED_DEFAULT = 1 << 4,
};
#define DECISION_FLAGS_ALL 31U

struct decision_record {
	uint64_t time_ns;
	uint8_t verdict; /* enum policy_verdict */
	uint8_t flags;   /* enum decision_flag */
	uint32_t line;   /* of the rule; 0: none */
	uint32_t lost;   /* records before this one that could not be told */
	const char *true_source;
	const char *source;    /* effective */
	const char *target;    /* as sent */
	const char *requested; /* normalised */
	const char *service;   /* as sent */
	const char *final;     /* allowed to; "" if not */
	const char *file;      /* of the rule, or of a fault; "" */
	const char *reason;    /* why not; "" if allowed */
	const char *asked;     /* GUI domain whose user answered; "" if no prompt */
};

/** decision_record_encode() - bytes, or -1 if it does not fit */
ssize_t decision_record_encode(void *out, size_t max, const struct decision_record *record)
        MUST_CHECK;

/** decision_record_decode() - texts are borrowed from data; 0, or -1: malformed */
int decision_record_decode(const void *data, size_t len, struct decision_record *out) MUST_CHECK;

#endif
