/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/image/signify.h"

#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>
#include <stdbool.h>
#include <string.h>

#define COMMENT "untrusted comment: "
#define KIND    "Ed"

/* One comment and one line of base64, which must be @bin_len bytes; *ret_used: where the next begins. */
static int block(const char *untrusted, size_t len, uint8_t *bin, size_t bin_len, size_t *ret_used)
{
	const char *first =
	        memchr(untrusted, '\n', len < SIGNIFY_LINE_MAX ? len : SIGNIFY_LINE_MAX);
	size_t at = first ? (size_t)(first - untrusted) + 1 : 0;
	const char *second = first ? memchr(untrusted + at, '\n', len - at) : NULL;
	size_t got;

	if (!second || strncmp(untrusted, COMMENT, strlen(COMMENT)) != 0 ||
	    sodium_base642bin(bin, bin_len, untrusted + at, (size_t)(second - untrusted) - at, NULL,
	                      &got, NULL, sodium_base64_VARIANT_ORIGINAL) ||
	    got != bin_len || memcmp(bin, KIND, strlen(KIND)) != 0)
		return -1;
	*ret_used = (size_t)(second - untrusted) + 1;
	return 0;
}

int signify_key_decode(const char *untrusted, size_t len, struct signify_key *ret)
{
	uint8_t bin[2 + SIGNIFY_ID_LEN + SIGNIFY_KEY_LEN];
	size_t used;

	if (len > SIGNIFY_FILE_MAX || block(untrusted, len, bin, sizeof(bin), &used) || used != len)
		return -1;
	memcpy(ret->id, bin + 2, SIGNIFY_ID_LEN);
	memcpy(ret->key, bin + 2 + SIGNIFY_ID_LEN, SIGNIFY_KEY_LEN);
	return 0;
}

int signify_signatures_decode(const char *untrusted, size_t len,
                              struct signify_signature ret[SIGNIFY_KEYS_MAX], size_t *ret_n)
{
	uint8_t bin[2 + SIGNIFY_ID_LEN + SIGNIFY_SIGNATURE_LEN];
	size_t n = 0;
	size_t used;

	if (len > SIGNIFY_FILE_MAX)
		return -1;
	for (; len > 0; untrusted += used, len -= used) {
		if (n == SIGNIFY_KEYS_MAX || block(untrusted, len, bin, sizeof(bin), &used))
			return -1;
		memcpy(ret[n].id, bin + 2, SIGNIFY_ID_LEN);
		memcpy(ret[n++].signature, bin + 2 + SIGNIFY_ID_LEN, SIGNIFY_SIGNATURE_LEN);
	}
	*ret_n = n;
	return 0;
}

size_t signify_count(const struct signify_keys *keys, const struct signify_signature *signatures,
                     size_t n, const void *untrusted_text, size_t len)
{
	size_t count = 0;

	/* By key, so that one that signs twice counts once. */
	for (size_t k = 0; k < keys->n; k++) {
		bool signs = false;

		for (size_t i = 0; i < n && !signs; i++)
			signs = memcmp(signatures[i].id, keys->keys[k].id, SIGNIFY_ID_LEN) == 0 &&
			        crypto_sign_ed25519_verify_detached(signatures[i].signature,
			                                            untrusted_text, len,
			                                            keys->keys[k].key) == 0;
		count += signs;
	}
	return count;
}
