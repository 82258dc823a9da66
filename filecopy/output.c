/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/output.h"

#include <string.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/crc/crc32.h"

int output_flush(struct output *out)
{
	size_t len = out->len;

	out->len = 0;
	out->crc = crc32_update(out->crc, out->buffer, len);
	if (fd_write_all(out->fd, out->buffer, len))
		return -1;
	out->accepted = out->data;
	return 0;
}

int output_put(struct output *out, const void *bytes, size_t len)
{
	CHECK(len <= sizeof(out->buffer));
	if (len > sizeof(out->buffer) - out->len && output_flush(out))
		return -1;
	memcpy(out->buffer + out->len, bytes, len);
	out->len += len;
	return 0;
}

int output_room(struct output *out, uint8_t **ret_room, size_t *ret_len)
{
	if (out->len > sizeof(out->buffer) / 2 && output_flush(out))
		return -1;
	*ret_room = out->buffer + out->len;
	*ret_len = sizeof(out->buffer) - out->len;
	return 0;
}

void output_fill(struct output *out, size_t len)
{
	CHECK(len <= sizeof(out->buffer) - out->len);
	out->len += len;
	out->data += len;
}
