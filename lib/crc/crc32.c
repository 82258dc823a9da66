/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32, reflected, polynomial 0xEDB88320. Eight bytes a step by eight tables: entry [k][b] is what
 * byte b does to the state after k more bytes. Long runs are folded first where the processor can.
 */
#include "lib/crc/crc32.h"

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/crc/crc32_internal.h"

#define POLYNOMIAL 0xEDB88320U
#define SLICES     8

static uint32_t table[SLICES][256];

static void make_tables(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t state = b;

		for (int bit = 0; bit < 8; bit++)
			state = state >> 1 ^ (state & 1 ? POLYNOMIAL : 0);
		table[0][b] = state;
	}
	for (size_t k = 1; k < SLICES; k++) {
		for (size_t b = 0; b < 256; b++)
			table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
	}
}

/* The state is the inverted CRC. */
static uint32_t step_bytes(uint32_t state, const uint8_t *p, size_t len)
{
	if (table[0][1] == 0)
		make_tables();
	for (; len >= SLICES; p += SLICES, len -= SLICES) {
		uint32_t low = le32_get(p) ^ state;
		uint32_t high = le32_get(p + 4);

		state = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
		        table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^ table[3][high & 0xff] ^
		        table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^
		        table[0][high >> 24];
	}
	for (; len > 0; p++, len--)
		state = state >> 8 ^ table[0][(state ^ *p) & 0xff];
	return state;
}

uint32_t crc32_update_by_table(uint32_t crc, const void *data, size_t len)
{
	return ~step_bytes(~crc, data, len);
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t state = ~crc;
	uint8_t folded[16];
	size_t n;

	if (len >= CRC32_FOLD_MIN && crc32_fold_works()) {
		n = crc32_fold(state, p, len, folded);
		state = step_bytes(0, folded, sizeof(folded));
		p += n;
		len -= n;
	}
	return ~step_bytes(state, p, len);
}
