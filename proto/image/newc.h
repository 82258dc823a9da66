/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_IMAGE_NEWC_H
#define PROTO_IMAGE_NEWC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Heads of a cpio archive of the kind "newc", which is what an RPM package carries, and what GRUB reads as a
 * file system: so a slot of dom0's disk holds one. A head, the name, its data; name and data each end at a
 * multiple of 4. Pure. Source: doc/protocol/image.md.
 */

#define NEWC_HEAD_LEN 110U
#define NEWC_NAME_MAX 512U /* bytes with the NULs behind it; chosen */
#define NEWC_END      "TRAILER!!!"
#define NEWC_FILE     0100644U

struct newc_head {
	uint32_t mode;
	uint32_t size;     /* bytes of data */
	uint32_t name_len; /* 2 … NEWC_NAME_MAX */
};

/**
 * newc_decode() - one head
 * Trust:  hostile. Errors: 0; -1: no head of this kind, or a name of a length that is not taken.
 * Test:   tests/unit/proto/image/newc.c, fuzz/newc.c
 */
int newc_decode(const uint8_t untrusted_head[NEWC_HEAD_LEN], struct newc_head *ret) MUST_CHECK;

/** newc_name_check() - printable ASCII, at least one character, then NULs to the end */
int newc_name_check(const char *untrusted_name, size_t len) MUST_CHECK;

void newc_encode(uint8_t out[NEWC_HEAD_LEN], const struct newc_head *head);

/** newc_align() - the next multiple of 4 */
static inline uint64_t newc_align(uint64_t n)
{
	return (n + 3) & ~3ULL;
}

#endif
