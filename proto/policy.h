/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_POLICY_H
#define PROTO_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

/*
 * Questions to the policy service and its answers, in two forms:
 *  - text, one question a connection, on policy.sock: that of the original, to the byte;
 *  - calls, SOCK_SEQPACKET on policy.calls.sock: many questions on one kept connection, answers in
 *    any order, matched by id. Fixed head, then texts. Both ends are on the trusted side, but each
 *    checks the other's bytes in full.
 * Source: doc/protocol/policy.md.
 */

#define POLICY_SOCKET       "policy.sock" /* below /run/qubes or its stand-in */
#define POLICY_CALLS_SOCKET "policy.calls.sock"
#define POLICY_TEXT_MAX     4096U  /* bytes of a text answer, with its end; protocol */
#define POLICY_LINE_MAX     65536U /* bytes of a line of a question without its end; protocol */
#define POLICY_NAME_LEN                                                                            \
	64U /* a qube name or token with its NUL (names: 31 chars,
					 * "@dispvm:uuid:" + 36) */
#define POLICY_USER_LEN 256U

enum policy_flag {
	POLICY_JUST_EVALUATE = 1 << 0,
	POLICY_ASSUME_YES = 1 << 1,
	POLICY_HAS_SOURCE = 1 << 2, /* requested_source was given, even if empty */
};

/* A question. Strings are borrowed and NUL-terminated. */
struct policy_question {
	uint64_t call;                /* for the trace; 0: none */
	uint32_t id;                  /* chosen by the asker; comes back in the answer */
	uint32_t flags;               /* enum policy_flag */
	const char *source;           /* true source qube */
	const char *requested_source; /* claimed source; "" for none */
	const char *target;           /* as sent, sanitised; may be "" */
	const char *service;          /* service[+argument] */
};

enum policy_verdict {
	POLICY_REFUSED = 0,   /* result=deny */
	POLICY_ALLOWED = 1,   /* result=allow */
	POLICY_NO_ANSWER = 2, /* the service could not decide (closed without an answer): refuse */
};

/* A checked answer. Texts are NUL-terminated copies; unset ones are "". */
struct policy_answer {
	uint32_t id;
	enum policy_verdict verdict;
	bool autostart;
	char user[POLICY_USER_LEN];             /* "DEFAULT" or a name */
	char target[POLICY_NAME_LEN + 16];      /* name, dom0, @dispvm:NAME */
	char target_uuid[POLICY_NAME_LEN + 16]; /* "", uuid:…, @dispvm:uuid:… */
	char requested_target[POLICY_NAME_LEN + 16];
	char policy_source[POLICY_NAME_LEN]; /* "" or the claimed source */
	char service[QREXEC_NAME_MAX];       /* "" or a replacement */
};

/**
 * policy_decode_text() - the text answer as a daemon receives it
 * @data:  borrowed; all bytes up to the end of the stream
 *
 * Any order of lines; one final newline dropped; unknown keys ignored.
 * Errors: 0, or -1: malformed (empty, NUL, too long, duplicate key, bad value, a required key
 *         missing on allow, a forbidden one present on deny).
 */
int policy_decode_text(const void *data, size_t len, struct policy_answer *out) MUST_CHECK;

/** policy_encode_text() - a verdict as section 9 of the reference: bytes written, -1 if it does not fit.
 *  @just: only result=allow or result=deny. */
ssize_t policy_encode_text(char *out, size_t max, const struct policy_answer *answer, bool just)
        MUST_CHECK;

/** policy_encode_question_text() - what a daemon writes to policy.sock; bytes or -1 */
ssize_t policy_encode_question_text(char *out, size_t max, const struct policy_question *question)
        MUST_CHECK;

/**
 * policy_question_text_end() - whether a question has ended before the end of its stream
 * @data:  borrowed; what came so far
 * @from:  bytes looked at by an earlier call that returned 0; 0 at first
 *
 * Returns the bytes up to and with the empty line that ends it; 0: not yet.
 */
size_t policy_question_text_end(const char *data, size_t len, size_t from) MUST_CHECK;

/**
 * policy_decode_question_text() - what policy.sock receives
 * @data:  borrowed and changed: line ends become NULs, out points into it; data[len] is writable
 * Errors: 0, or -1: malformed (an unknown, repeated or missing key, a line without "=", a bad
 *         boolean, a byte outside ASCII, a line over POLICY_LINE_MAX): close without an answer.
 */
int policy_decode_question_text(char *data, size_t len, struct policy_question *out) MUST_CHECK;

/*
 * The kept connection: one packet each, integers little-endian.
 *   question: u32 "SKPQ", u32 id, u32 flags, u64 call, u16 length of source, requested_source, target,
 *             service, each with its NUL, then the four texts
 *   answer:   u32 "SKPA", u32 id, u8 verdict, u8 autostart, u16 length of user, target, target_uuid,
 *             requested_target, policy_source, service, each with its NUL, then the six texts
 * Texts are ASCII without newline. An answer that is not an allow has empty texts.
 */
#define POLICY_PACKET_MAX (QREXEC_NAME_MAX + 2048U)
ssize_t policy_encode_question(void *out, size_t max, const struct policy_question *question)
        MUST_CHECK;
/** strings of out point into data */
int policy_decode_question(const void *data, size_t len, struct policy_question *out) MUST_CHECK;
ssize_t policy_encode_answer(void *out, size_t max, const struct policy_answer *answer) MUST_CHECK;
int policy_decode_answer(const void *data, size_t len, struct policy_answer *out) MUST_CHECK;

#endif
