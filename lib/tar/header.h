/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_TAR_HEADER_H
#define LIB_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Blocks of a tar archive (POSIX ustar and pax, and of GNU: long names, base-256 numbers, the old form
 * of sparse files) to checked structs and back. Pure: no system call, no allocation, no global.
 */

#define TAR_BLOCK    512U
#define TAR_NAME_MAX 4095U        /* bytes of a path, chosen: PATH_MAX */
#define TAR_PAX_MAX  (1U << 20)   /* bytes of one extended header; chosen */
#define TAR_SIZE_MAX (1ULL << 60) /* bytes of one member; chosen */

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_FOLDER = '5',
	TAR_FIFO = '6',
	TAR_PAX = 'x',
	TAR_PAX_GLOBAL = 'g',
	TAR_LONG_NAME = 'L', /* GNU: the data is the next member's name */
	TAR_LONG_LINK = 'K',
	TAR_SPARSE = 'S', /* old GNU sparse file */
};

struct tar_header {
	char type;     /* enum tar_type; others as they came */
	uint32_t mode; /* 0 … 07777 */
	uint32_t uid, gid;
	uint64_t size; /* bytes of data that follow, without padding */
	int64_t mtime; /* seconds */
	uint32_t mtime_ns;
	uint64_t real_size;          /* TAR_SPARSE: of the file; else 0 */
	char name[TAR_NAME_MAX + 1]; /* as in the archive; NUL-terminated, not checked further */
	char link[TAR_NAME_MAX + 1];
};

enum tar_result {
	TAR_OK = 0,
	TAR_END = 1,  /* a block of NULs */
	TAR_BAD = -1, /* not a header, or a value out of bounds */
};

/**
 * tar_header_decode() - one block
 * Trust: @block is hostile. Every number of @out is in bounds; the texts are any bytes but NUL.
 * Test:  tests/unit/lib/tar; fuzz/tar_header.c
 */
enum tar_result tar_header_decode(const uint8_t block[TAR_BLOCK], struct tar_header *out)
        MUST_CHECK;

/**
 * tar_header_encode() - one block of ustar; 0, or -1: a name, link or number does not fit, and a pax
 * header must carry it (then encode with what fits)
 */
int tar_header_encode(uint8_t block[TAR_BLOCK], const struct tar_header *in) MUST_CHECK;

/* One sparse region of an old GNU sparse file. */
struct tar_region {
	uint64_t offset, len;
};

#define TAR_REGIONS_FIRST 4  /* in the header itself */
#define TAR_REGIONS_NEXT  21 /* in each block that follows it */

/** tar_regions_decode() - of a header block or (@next) one that follows; how many, or -1; *ret_more */
int tar_regions_decode(const uint8_t block[TAR_BLOCK], bool next,
                       struct tar_region out[TAR_REGIONS_NEXT], bool *ret_more) MUST_CHECK;

/** tar_sparse_encode() - header of an old GNU sparse file with up to four regions; 0 or -1 */
int tar_sparse_encode(uint8_t block[TAR_BLOCK], const struct tar_header *in,
                      const struct tar_region *regions, size_t n, bool more) MUST_CHECK;

/** tar_regions_encode() - a block that follows, with up to 21 regions */
void tar_regions_encode(uint8_t block[TAR_BLOCK], const struct tar_region *regions, size_t n,
                        bool more);

/* One record of a pax header. */
struct tar_pax {
	const char *key; /* borrowed; key_len bytes, no NUL inside */
	size_t key_len;
	const char *value; /* borrowed; value_len bytes; may hold NULs */
	size_t value_len;
};

/** tar_pax_next() - TAR_OK, TAR_END or TAR_BAD; *at moves behind the record */
enum tar_result tar_pax_next(const char *data, size_t len, size_t *at, struct tar_pax *out)
        MUST_CHECK;

/** tar_pax_is() - whether the key is this text */
bool tar_pax_is(const struct tar_pax *p, const char *key);

/** tar_pax_apply() - path, linkpath, size, mtime, uid, gid into a header; TAR_BAD: one out of bounds */
enum tar_result tar_pax_apply(const struct tar_pax *p, struct tar_header *h) MUST_CHECK;

/** tar_pax_put() - one record; bytes written, or -1 if it does not fit */
int tar_pax_put(char *out, size_t max, const char *key, const void *value, size_t value_len)
        MUST_CHECK;

/** tar_padding() - bytes of NULs behind so much data */
static inline size_t tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

#endif
