/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_ESCAPE_H
#define LIB_BASE_ESCAPE_H

#include <stddef.h>

/*
 * The one escaper: bytes that somebody else chose, made harmless for a log, a terminal or a screen
 * without losing which bytes they were. What may stay is the caller's choice; the rest, and the
 * backslash, becomes \xNN. lib/untrusted has the choice for text that people read.
 */

/**
 * escape_keep_fn - how many bytes at the start of @in stay as they are
 * @len:  at least 1
 * Returns 1 … len, or 0: the first byte is escaped. Never called for a backslash.
 */
typedef size_t escape_keep_fn(const unsigned char *in, size_t len);

/**
 * escape_with() - hostile bytes as text in which only what @keep accepts stays
 * @dst:  written, NUL-terminated if dst_len > 0; needs 4 bytes for each input byte to hold all
 *
 * Returns the bytes written without the NUL; cuts between characters if dst is too small.
 */
size_t escape_with(char *dst, size_t dst_len, const void *src, size_t src_len,
                   escape_keep_fn *keep);

/** escape_text() - escape_with() that keeps printable ASCII only: logs, and terminals of any kind */
size_t escape_text(char *dst, size_t dst_len, const void *src, size_t src_len);

#endif
