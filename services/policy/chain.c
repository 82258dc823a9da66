/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/chain.h"

#include <inttypes.h>
#include <sodium/crypto_generichash.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The form and the hashes of the decision log, for its writer and its verifier. No I/O. */

void chain_hex(const struct chain *chain, char out[CHAIN_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < CHAIN_HASH_LEN; i++) {
		out[2 * i] = digits[chain->hash[i] >> 4];
		out[2 * i + 1] = digits[chain->hash[i] & 15];
	}
	out[CHAIN_HEX_LEN] = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(uint8_t out[CHAIN_HASH_LEN], const char *text, size_t len)
{
	size_t i;

	if (len < CHAIN_HEX_LEN)
		return false;
	for (i = 0; i < CHAIN_HASH_LEN; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void hash_line(uint8_t out[CHAIN_HASH_LEN], const uint8_t before[CHAIN_HASH_LEN],
                      const char *text, size_t len)
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, CHAIN_HASH_LEN);
	(void)crypto_generichash_update(&state, before, CHAIN_HASH_LEN);
	(void)crypto_generichash_update(&state, (const uint8_t *)text, len);
	(void)crypto_generichash_final(&state, out, CHAIN_HASH_LEN);
}

ssize_t chain_line(struct chain *chain, char *line, size_t max, const char *body)
{
	char *text = line + CHAIN_HEX_LEN + 1;
	int n;

	if (max < CHAIN_HEX_LEN + 3)
		return -1;
	n = snprintf(text, max - CHAIN_HEX_LEN - 2, "%" PRIu64 " %s", chain->sequence + 1, body);
	if (n < 0 || (size_t)n >= max - CHAIN_HEX_LEN - 2)
		return -1;
	hash_line(chain->hash, chain->hash, text, (size_t)n);
	chain->sequence++;
	chain_hex(chain, line);
	line[CHAIN_HEX_LEN] = ' ';
	text[n] = '\n';
	return (ssize_t)CHAIN_HEX_LEN + n + 2;
}

/* The value of prev= in a start line: NUMBER TIME "start prev=" … */
static bool start_hash(uint8_t out[CHAIN_HASH_LEN], const char *text, size_t len)
{
	static const char word[] = "start prev=";
	const char *end = text + len, *at = memchr(text, ' ', len);

	at = at ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
	if (!at || (size_t)(end - ++at) < sizeof(word) - 1 ||
	    memcmp(at, word, sizeof(word) - 1) != 0)
		return false;
	at += sizeof(word) - 1;
	return get_hex(out, at, (size_t)(end - at));
}

enum chain_verdict chain_check(struct chain *chain, const char *line, size_t len)
{
	uint8_t claimed[CHAIN_HASH_LEN], before[CHAIN_HASH_LEN], hash[CHAIN_HASH_LEN];
	const char *text = line + CHAIN_HEX_LEN + 1;
	uint64_t sequence = 0;
	size_t at;
	bool start;

	if (len < CHAIN_HEX_LEN + 4 || !get_hex(claimed, line, len) || line[CHAIN_HEX_LEN] != ' ')
		return CHAIN_NO_LINE;
	len -= CHAIN_HEX_LEN + 1;
	for (at = 0; at < len && at < 19 && text[at] >= '0' && text[at] <= '9'; at++)
		sequence = sequence * 10 + (uint64_t)(text[at] - '0');
	if (at == 0 || at == len || text[at] != ' ' || sequence == 0)
		return CHAIN_NO_LINE;
	start = start_hash(before, text, len);
	if (chain->sequence == 0 && !start)
		return CHAIN_BROKEN;
	if (chain->sequence != 0 && (sequence != chain->sequence + 1 ||
	                             (start && memcmp(before, chain->hash, CHAIN_HASH_LEN) != 0)))
		return CHAIN_BROKEN;
	hash_line(hash, start ? before : chain->hash, text, len);
	if (memcmp(hash, claimed, CHAIN_HASH_LEN) != 0)
		return CHAIN_BROKEN;
	memcpy(chain->hash, hash, CHAIN_HASH_LEN);
	chain->sequence = sequence;
	return start ? CHAIN_START : CHAIN_FITS;
}
