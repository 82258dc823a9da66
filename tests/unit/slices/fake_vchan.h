/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SLICES_FAKE_VCHAN_H
#define TESTS_UNIT_SLICES_FAKE_VCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vchan/vchan.h"

/* A channel over memory, for the slice: what the peer sent, and how much it takes. */
struct vchan {
	const uint8_t *in; /* borrowed */
	size_t in_len;
	size_t in_at;
	size_t piece; /* bytes of one read at most; 0: no limit */
	bool closed;  /* once in is read */
	size_t room;  /* bytes that can be written */
	uint8_t out[200000];
	size_t out_len;
};

#endif
