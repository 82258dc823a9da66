/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_STORE_H
#define SERVICES_ADMIN_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/*
 * Admin and store, over one socket pair (SOCK_SEQPACKET). One packet each, integers little-endian:
 *   u32 kind, u64 seq, then for ROW: u32 row kind, u32 lengths of owner, name, value (STORE_NO_VALUE:
 *   the row goes away), the three texts; for REFUSED: the rest is a text.
 *
 *   admin -> store   LOAD     send everything
 *                    ROW      belongs to the transaction seq
 *                    COMMIT   transaction seq is complete
 *                    RESUME   seq: what was sent up to here after a refusal is void
 *   store -> admin   ROW, END   the answer to LOAD
 *                    DURABLE  every transaction up to seq
 *                    REFUSED  transaction seq could not be written and nothing after it was; text says
 *                             why. The store drops everything up to RESUME.
 * Both are on the trusted side; each checks the other's packets in full all the same.
 * Test: fuzz/admin_store.c
 */

#define STORE_VALUE_MAX  262144U /* bytes: notes may hold 256,000 */
#define STORE_NAME_MAX   1024U
#define STORE_PACKET_MAX (STORE_VALUE_MAX + STORE_NAME_MAX + 64U + 32U)
#define STORE_NO_VALUE   UINT32_MAX

enum store_kind {
	STORE_LOAD = 1,
	STORE_ROW,
	STORE_COMMIT,
	STORE_RESUME,
	STORE_END,
	STORE_DURABLE,
	STORE_REFUSED,
	STORE_KINDS
};

struct store_packet {
	enum store_kind kind;
	uint64_t seq;
	uint32_t row;      /* enum row_kind, for ROW */
	const char *owner; /* borrowed; NUL-terminated */
	const char *name;
	const char *value; /* NULL: the row goes away */
	const char *text;  /* REFUSED */
};

/** store_encode() - bytes written, 0 if it does not fit */
size_t store_encode(void *out, size_t max, const struct store_packet *p) MUST_CHECK;
/** store_decode() - 0 or -1; texts point into data */
int store_decode(const void *data, size_t len, struct store_packet *out) MUST_CHECK;

/* The admin's side. */
/** store_open() - takes the socket; loads everything (blocking: nobody is served before); 0 or -1 */
int store_open(struct loop *loop, int fd) MUST_CHECK;
void store_row(uint64_t seq, uint32_t row, const char *owner, const char *name, const char *value);
void store_commit(uint64_t seq);
void store_resume(uint64_t seq);

#endif
