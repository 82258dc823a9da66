/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_IMAGE_BOOT_STATE_H
#define PROTO_IMAGE_BOOT_STATE_H

#include <stdint.h>

#include "lib/base/compat.h"

/*
 * What dom0 and GRUB tell each other about the slots: an environment block of GRUB, of which everything stands
 * in the first sector, so that a disk writes it whole or not at all. Pure. Source: doc/protocol/image.md.
 */

#define BOOT_STATE_LEN       1024U
#define BOOT_STATE_USED      512U /* bytes of it that are not filling */
#define BOOT_STATE_TRIES     3U /* starts that a new image gets; chosen, and GRUB's menu counts them */
#define BOOT_STATE_TRIES_MAX 9U

struct boot_state {
	char good;      /* 'a', 'b': the slot whose image came up; 0: none yet */
	char trying;    /* 'a', 'b': a new image that has to show it; 0: none. Never the good one */
	uint8_t tries;  /* starts that it has left; GRUB counts down */
	uint64_t floor; /* nothing lower is ever installed */
	uint64_t seen;  /* the newest moment that a release named; the clock may be behind */
	uint64_t until; /* how long the newest release was said to be the newest */
};

/**
 * boot_state_decode() - a block that GRUB may have written
 * Errors: 0, or -1: not such a block, or something else in it.
 * Test:   tests/unit/proto/image/boot_state.c, fuzz/boot_state.c
 */
int boot_state_decode(const uint8_t untrusted[BOOT_STATE_LEN], struct boot_state *ret) MUST_CHECK;
void boot_state_encode(uint8_t out[BOOT_STATE_LEN], const struct boot_state *state);

#endif
