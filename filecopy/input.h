/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_INPUT_H
#define FILECOPY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The stream as the receiver reads it: as much at a time as the channel gives, into one buffer, with
 * the checksum of what was taken out of it. It reads ahead; what comes after the end of the stream
 * may be read as well, and is never looked at.
 */

#define INPUT_BUFFER (256U << 10)

struct input {
	int fd;         /* borrowed; blocking */
	uint32_t crc;   /* of all before `summed`: many small objects are summed in one go */
	uint32_t reads; /* how often the channel was waited for */
	size_t summed;  /* bytes of the buffer that are in it, <= at */
	size_t at;      /* first byte not taken */
	size_t len;     /* bytes in the buffer, >= at */
	uint8_t data[INPUT_BUFFER];
};

/** input_exact() - the next len bytes; false: the stream ended before, nothing of it is in the CRC */
bool input_exact(struct input *in, void *untrusted_dst, size_t len) MUST_CHECK;

/** input_peek() - waits for at least one byte; returns how many are there; 0: the stream ended */
size_t input_peek(struct input *in, const uint8_t **ret_untrusted) MUST_CHECK;

/** input_take() - len of the bytes that input_peek() showed are done with */
void input_take(struct input *in, size_t len);

/** input_crc() - the checksum of everything that was taken */
uint32_t input_crc(struct input *in);

#endif
