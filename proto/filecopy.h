/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_FILECOPY_H
#define PROTO_FILECOPY_H

#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The stream of files of qubes.Filecopy and its reply: doc/protocol/filecopy.md. Little-endian.
 * Neither direction has a version; nothing here fails but what the struct says.
 */

#define FILECOPY_HEADER_LEN     32
#define FILECOPY_NAME_MAX       16383 /* bytes of a name as sent, its NUL included; of a link's target */
#define FILECOPY_REPLY_LEN      16       /* all of it in the old form */
#define FILECOPY_TAIL_LEN       4        /* the length of the last name; the name follows */
#define FILECOPY_ERROR_EOF      31415926 /* the stream ended inside a name or inside data */
#define FILECOPY_NSEC_MAX       999999999
#define FILECOPY_REPLY_NAME_MAX 16384 /* bytes of the last name that the sender looks at */

/* One file, link or folder. A header with name_len 0 is the end of the stream. */
struct filecopy_header {
	uint32_t
	        name_len; /* bytes that follow, up to the peer: above FILECOPY_NAME_MAX is an error */
	uint32_t mode;    /* st_mode; bits from 16 up mean nothing */
	uint64_t size;    /* bytes of data or of the target; of a folder it means nothing */
	uint32_t atime;   /* seconds since 1970, unsigned */
	uint32_t atime_nsec; /* up to the peer: above FILECOPY_NSEC_MAX is an error */
	uint32_t mtime;
	uint32_t mtime_nsec;
};

/** filecopy_header_decode() - total: any 32 bytes are a header, whose numbers are to be checked */
void filecopy_header_decode(const uint8_t untrusted_in[FILECOPY_HEADER_LEN],
                            struct filecopy_header *ret_untrusted);

void filecopy_header_encode(const struct filecopy_header *header, uint8_t out[FILECOPY_HEADER_LEN]);

/* How it went. The receiver sends this once, at the end or at the first error. */
struct filecopy_reply {
	uint32_t error; /* 0, an errno, FILECOPY_ERROR_EOF, or a negated errno */
	uint32_t crc;   /* of the bytes of the stream so far */
};

/**
 * filecopy_reply_decode() - the first 16 bytes of a reply
 * @ret_crc:  all 64 bits that stand for the CRC: the upper half has to be 0 for it to be equal
 */
void filecopy_reply_decode(const uint8_t untrusted_in[FILECOPY_REPLY_LEN], uint32_t *ret_error,
                           uint64_t *ret_crc);

void filecopy_reply_encode(const struct filecopy_reply *reply, uint8_t out[FILECOPY_REPLY_LEN]);

#endif
