/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/picture/png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/fd.h"

#define SIDE_MAX 65535U

static void be32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static int put_chunk(int fd, const char type[4], const uint8_t *data, size_t len)
{
	uint8_t head[8];
	uint8_t tail[4];
	uLong crc;

	be32_put(head, (uint32_t)len);
	memcpy(head + 4, type, 4);
	crc = crc32(0, head + 4, 4);
	if (len > 0)
		crc = crc32(crc, data, (uInt)len);
	be32_put(tail, (uint32_t)crc);
	if (fd_write_all(fd, head, sizeof(head)) || (len > 0 && fd_write_all(fd, data, len)))
		return -1;
	return fd_write_all(fd, tail, sizeof(tail));
}

/* The filter "Sub": each byte less the same channel's to the left. Icons and pages gain from it, and a
 * reader of any kind knows it. */
static void filter_row(uint8_t *dst, const uint8_t *row, size_t len, unsigned int channels)
{
	dst[0] = 1;
	for (size_t i = 0; i < len; i++)
		dst[i + 1] = (uint8_t)(row[i] - (i < channels ? 0 : row[i - channels]));
}

struct deflater {
	z_stream z;
	int fd;
	uint8_t out[32768];
};

/* Everything that is in z.next_in; with Z_FINISH the end as well. */
static int deflate_some(struct deflater *d, int flush)
{
	int r;

	do {
		d->z.next_out = d->out;
		d->z.avail_out = sizeof(d->out);
		r = deflate(&d->z, flush);
		if (r == Z_STREAM_ERROR) {
			errno = EIO;
			return -1;
		}
		if (d->z.avail_out < sizeof(d->out) &&
		    put_chunk(d->fd, "IDAT", d->out, sizeof(d->out) - d->z.avail_out))
			return -1;
	} while (d->z.avail_out == 0 || (flush == Z_FINISH && r != Z_STREAM_END));
	return 0;
}

static int put_pixels(struct deflater *d, uint8_t *row, const uint8_t *pixels, uint32_t height,
                      size_t row_len, unsigned int channels)
{
	for (uint32_t y = 0; y < height; y++) {
		filter_row(row, pixels + y * row_len, row_len, channels);
		d->z.next_in = row;
		d->z.avail_in = (uInt)(row_len + 1);
		if (deflate_some(d, Z_NO_FLUSH))
			return -1;
	}
	return deflate_some(d, Z_FINISH);
}

int png_write(int fd, const uint8_t *pixels, uint32_t width, uint32_t height, unsigned int channels)
{
	static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	size_t row_len = (size_t)width * channels;
	uint8_t head[13] = {0};
	struct deflater *d;
	uint8_t *row;
	int r = -1;

	if (width == 0 || width > SIDE_MAX || height == 0 || height > SIDE_MAX ||
	    (channels != 3 && channels != 4)) {
		errno = EINVAL;
		return -1;
	}
	be32_put(head, width);
	be32_put(head + 4, height);
	head[8] = 8;
	head[9] = channels == 4 ? 6 : 2;
	d = calloc(1, sizeof(*d));
	row = malloc(row_len + 1);
	if (d && row && deflateInit(&d->z, Z_DEFAULT_COMPRESSION) == Z_OK) {
		d->fd = fd;
		if (fd_write_all(fd, magic, sizeof(magic)) == 0 &&
		    put_chunk(fd, "IHDR", head, sizeof(head)) == 0 &&
		    put_pixels(d, row, pixels, height, row_len, channels) == 0)
			r = put_chunk(fd, "IEND", NULL, 0);
		(void)deflateEnd(&d->z);
	}
	free(row);
	free(d);
	return r;
}
