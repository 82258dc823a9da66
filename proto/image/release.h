/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_IMAGE_RELEASE_H
#define PROTO_IMAGE_RELEASE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * What is signed of an image of dom0: a text that names its parts, says which version it is, and until when
 * it may be taken for the newest. One spelling of everything, so one text has one meaning.
 * Pure. Source: doc/protocol/image.md.
 */

#define RELEASE_MAX           4096U
#define RELEASE_PARTS_MAX     8U
#define RELEASE_PART_NAME_MAX 31U
#define RELEASE_PART_MAX      (1U << 30)      /* bytes; chosen */
#define RELEASE_TIME_MAX      253402300799ULL /* the end of the year 9999 */
#define RELEASE_DIGEST_LEN    32U

struct release_part {
	char name[RELEASE_PART_NAME_MAX + 1];
	uint32_t size; /* 1 … RELEASE_PART_MAX */
	uint8_t sha256[RELEASE_DIGEST_LEN];
};

struct release {
	uint64_t version; /* 1 up; each image has a higher one than all before */
	uint64_t created; /* seconds since 1970 */
	uint64_t expires; /* later than that */
	uint64_t after;   /* the lowest version that this one may follow; 0: any */
	uint32_t
	        n_parts; /* in the order of their names; xen.gz, vmlinuz, initramfs.gz are among them */
	struct release_part parts[RELEASE_PARTS_MAX];
};

/**
 * release_decode() - a text whose signature was verified
 * Errors: 0, or -1. Test: tests/unit/proto/image/release.c, fuzz/release.c
 */
int release_decode(const char *untrusted, size_t len, struct release *ret) MUST_CHECK;

/** release_encode() - the same text again; its length */
size_t release_encode(char out[RELEASE_MAX], const struct release *release);

#endif
