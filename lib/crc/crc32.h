/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_CRC_CRC32_H
#define LIB_CRC_CRC32_H

#include <stddef.h>
#include <stdint.h>

/**
 * crc32_update() - CRC-32 of gzip and zlib, continued
 * @crc:  what came out so far; 0 at the start
 *
 * Some 20 GB/s with carry-less multiplication, 2.5 GB/s on a processor without it; small pieces cost
 * what their bytes cost. The tables are made at the first use: one thread at that moment.
 * Test: tests/unit/lib/crc/crc32.c, both ways against the definition.
 */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len);

/** crc32_update_by_table() - the same without the processor's help; for tests and measurements */
uint32_t crc32_update_by_table(uint32_t crc, const void *data, size_t len);

#endif
