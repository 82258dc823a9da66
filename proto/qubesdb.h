/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_QUBESDB_H
#define PROTO_QUBESDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * QubesDB's message, the same on its local sockets and on its channel: a head of 72 bytes and data.
 *
 *   offset 0   type u8
 *          1   path[64], NUL-terminated; a path without NUL is cut to 63 bytes
 *          65  3 bytes, ignored; sent as zero
 *          68  data_len u32 little-endian, below QUBESDB_DATA_LIMIT
 *
 * Trust:  hostile, on the trusted side of a channel.
 * Source: doc/protocol/qubesdb.md. Test: tests/unit/proto/qubesdb.c, fuzz/qubesdb.c.
 */
#define QUBESDB_HEAD_LEN   72U
#define QUBESDB_PATH_LEN   64U
#define QUBESDB_DATA_LIMIT 3072U /* protocol: 3071 bytes are the longest data */
#define QUBESDB_PORT       111   /* of the channel */
#define QUBESDB_RING       4096U /* bytes each way; protocol */

enum qubesdb_type {
	QUBESDB_READ = 0,
	QUBESDB_WRITE,
	QUBESDB_MULTIREAD,
	QUBESDB_LIST,
	QUBESDB_RM,
	QUBESDB_WATCH,
	QUBESDB_UNWATCH,
	QUBESDB_OK,
	QUBESDB_ERROR_NOENT,
	QUBESDB_ERROR,
	QUBESDB_RESP_READ,
	QUBESDB_RESP_MULTIREAD,
	QUBESDB_RESP_LIST,
	QUBESDB_RESP_WATCH,
	QUBESDB_TYPES,
};

struct qubesdb_head {
	uint32_t untrusted_type;     /* any byte */
	char path[QUBESDB_PATH_LEN]; /* terminated; any other bytes: qubesdb_path_ok() */
	uint32_t untrusted_data_len;
};

/** qubesdb_decode_head() - every 72 bytes are one; what they mean is checked by who knows the state */
void qubesdb_decode_head(const uint8_t data[QUBESDB_HEAD_LEN], struct qubesdb_head *out);

/** qubesdb_encode_head() - path is cut if it is too long, which no path of a store is */
void qubesdb_encode_head(uint8_t data[QUBESDB_HEAD_LEN], enum qubesdb_type type, const char *path,
                         size_t data_len);

/** qubesdb_path_ok() - only letters that a path may have; it may be empty */
bool qubesdb_path_ok(const char *path);

/** qubesdb_key_ok() - whether a path can be that of an entry: absolute, no slash at its end */
bool qubesdb_key_ok(const char *path);

#endif
