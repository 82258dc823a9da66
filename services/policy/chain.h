/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_CHAIN_H
#define SERVICES_POLICY_CHAIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * The decision log: lines of text, each bound to the one before it.
 *
 *   HASH " " SEQUENCE " " TIME " " WORD (" " KEY "=" VALUE)* "\n"
 *
 * HASH is BLAKE2b-256, in hexadecimal, of the 32 bytes of the hash before it and of the line after
 * HASH and its space, without the newline. A file begins with a line whose WORD is "start" and whose
 * prev= is the hash that came before the file (zeros for the first of all); so does each run of the
 * recorder. cut= in it counts the bytes of a line that a crash had left unfinished. Who changes,
 * removes or adds a line has to write all later ones anew, and then the heads that the recorder told
 * the system's journal do not fit. Sequence numbers rise by one.
 */

#define CHAIN_HASH_LEN 32U
#define CHAIN_HEX_LEN  (2U * CHAIN_HASH_LEN)
#define CHAIN_LINE_MAX (640U << 10) /* bytes of a line; over three escaped texts of 64 KiB */

struct chain {
	uint8_t hash[CHAIN_HASH_LEN]; /* of the last line */
	uint64_t sequence;            /* of the last line; 0: none */
};

/** chain_hex() - the hash as text with its NUL */
void chain_hex(const struct chain *chain, char out[CHAIN_HEX_LEN + 1]);

/**
 * chain_line() - the next line, written into line, and the chain moved on to it
 * @body:  TIME, WORD and pairs
 * Errors: bytes with the newline, or -1: does not fit; then the chain has not moved.
 */
ssize_t chain_line(struct chain *chain, char *line, size_t max, const char *body) MUST_CHECK;

enum chain_verdict {
	CHAIN_FITS,    /* follows; the chain has moved on */
	CHAIN_START,   /* fits, and is a "start" */
	CHAIN_BROKEN,  /* the hash or the number does not follow */
	CHAIN_NO_LINE, /* not a line of this form */
};

/** chain_check() - one line without its newline against the chain
 *  A chain whose sequence is 0 takes its beginning from the prev= of a start. */
enum chain_verdict chain_check(struct chain *chain, const char *line, size_t len) MUST_CHECK;

#endif
