/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAGE_GPT_H
#define IMAGE_GPT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

#define GPT_NAME_MAX 36U /* letters of a partition's name */

/* On a disk of this size or more: two slots for images of dom0, and what GRUB is told of them. */
#define GPT_SLOTS_FROM (2ULL << 30)
#define GPT_SLOTS      3U
#define GPT_SLOT_A     "skerry-slot-a"
#define GPT_SLOT_B     "skerry-slot-b"
#define GPT_STATE      "skerry-boot"

/**
 * gpt_write() - a disk's table with one partition over all of it but what the slots take, aligned to 1 MiB
 * @fd:   the disk, open for writing; its sectors are @sector bytes, 512 or 4096
 * @id:   32 random bytes: the disk's identity and the first partition's; the same again only changes the name
 * @name: of the first partition
 *        ASCII, at most GPT_NAME_MAX
 * The copy at the end is written first and synced, so at every moment one of the two is whole.
 * Errors: 0, or -1 with errno (ENOSPC: less than 8 MiB).
 * Test:   tests/unit/image/gpt.c
 */
int gpt_write(int fd, uint64_t bytes, uint32_t sector, const uint8_t id[32], const char *name)
        MUST_CHECK;

/** gpt_identity() - what gpt_write() was given, from a disk's first table; 0 or -1 with errno */
int gpt_identity(int fd, uint32_t sector, uint8_t ret_id[32]) MUST_CHECK;

#endif
