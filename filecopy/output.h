/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_OUTPUT_H
#define FILECOPY_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The stream as the sender writes it: collected in one buffer, so that many small files cost one
 * write, with the checksum of what was put in. File data is read straight into the buffer.
 */

#define OUTPUT_BUFFER (256U << 10)

struct output {
	int fd;            /* borrowed; blocking */
	uint32_t crc;      /* of what was flushed: many small objects are summed in one go */
	uint64_t data;     /* bytes of files put in so far */
	uint64_t accepted; /* those of them that the channel took */
	size_t len;        /* bytes waiting in the buffer */
	uint8_t buffer[OUTPUT_BUFFER];
};

/* All of these: 0, or -1 with errno: the channel does not take more. */

int output_put(struct output *out, const void *bytes, size_t len) MUST_CHECK;

/** output_room() - where the next bytes may be put directly; at least half the buffer */
int output_room(struct output *out, uint8_t **ret_room, size_t *ret_len) MUST_CHECK;

/** output_fill() - so many bytes of a file were put there */
void output_fill(struct output *out, size_t len);

int output_flush(struct output *out) MUST_CHECK;

#endif
