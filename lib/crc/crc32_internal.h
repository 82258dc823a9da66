/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_CRC_CRC32_INTERNAL_H
#define LIB_CRC_CRC32_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One file of these two functions per architecture, chosen by the build. */

#define CRC32_FOLD_MIN 64 /* bytes */

/** crc32_fold_works() - has this processor what crc32_fold() needs? */
bool crc32_fold_works(void);

/**
 * crc32_fold() - replaces a prefix of the data by 16 bytes with the same remainder
 * @state:  the inverted CRC before the prefix
 * @len:    at least CRC32_FOLD_MIN; the multiple of 16 at or below it is taken
 * @ret:    16 bytes: going on from state 0 with them, and then with the rest, gives the state at the end
 * Returns the bytes taken.
 */
size_t crc32_fold(uint32_t state, const uint8_t *data, size_t len, uint8_t ret[16]);

#endif
