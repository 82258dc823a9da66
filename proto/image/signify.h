/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_IMAGE_SIGNIFY_H
#define PROTO_IMAGE_SIGNIFY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Keys and signatures as signify(1) writes them: a line of comment, and a line of base64 with the letters "Ed",
 * 8 bytes that say which key, and the key or the Ed25519 signature of the whole text.
 * Pure. Source: doc/protocol/image.md.
 */

#define SIGNIFY_ID_LEN        8U
#define SIGNIFY_KEY_LEN       32U
#define SIGNIFY_SIGNATURE_LEN 64U
#define SIGNIFY_KEYS_MAX      8U
#define SIGNIFY_FILE_MAX      4096U /* of a key, or of the signatures of one text */
#define SIGNIFY_LINE_MAX      512U

struct signify_key {
	uint8_t id[SIGNIFY_ID_LEN];
	uint8_t key[SIGNIFY_KEY_LEN];
};

struct signify_signature {
	uint8_t id[SIGNIFY_ID_LEN];
	uint8_t signature[SIGNIFY_SIGNATURE_LEN];
};

struct signify_keys {
	size_t n;
	size_t needed; /* how many of them must have signed; 1 … n */
	struct signify_key keys[SIGNIFY_KEYS_MAX];
};

/* Both: hostile. 0, or -1. Test: tests/unit/proto/image/signify.c, fuzz/signify.c */

int signify_key_decode(const char *untrusted, size_t len, struct signify_key *ret) MUST_CHECK;

/** signify_signatures_decode() - one after the other, up to SIGNIFY_KEYS_MAX; *ret_n of them */
int signify_signatures_decode(const char *untrusted, size_t len,
                              struct signify_signature ret[SIGNIFY_KEYS_MAX], size_t *ret_n)
        MUST_CHECK;

/**
 * signify_count() - how many of the keys have signed a text; each counts once
 * @signatures:  as signify_signatures_decode() gave them
 */
size_t signify_count(const struct signify_keys *keys, const struct signify_signature *signatures,
                     size_t n, const void *untrusted_text, size_t len) MUST_CHECK;

#endif
