/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_STASH_H
#define LIB_VCHAN_STASH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Bytes that libvchan_recv() took from a channel before all that it wants were there. The kernel
 * holds few bytes for a peer who sends them one by one: to wait for the rest, room must be made.
 */
struct stash {
	uint8_t *bytes; /* NULL: none was ever needed */
	size_t len;
};

struct vchan;

/** stash_fill() - take what is there until it holds wanted bytes; at most max are ever wanted
 *  Errors: 0 (look at len), or -1 with errno: ENOMEM, EPIPE no more will come. */
int stash_fill(struct stash *stash, struct vchan *vchan, size_t wanted, size_t max) MUST_CHECK;

/** stash_take() - up to len of the oldest bytes; how many */
size_t stash_take(struct stash *stash, void *buf, size_t len);

#endif
