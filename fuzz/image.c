/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any first line of a picture, and any pixels to tint: byte 0 picks the limits. */
#include "proto/services/image.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image_limits limits = {.width = IMAGE_WIDTH_MAX, .height = IMAGE_HEIGHT_MAX};
	struct image_size size = {0};
	const uint8_t *newline;
	size_t line_len;
	enum image_result r;
	uint8_t *copy;

	if (len < 1)
		return 0;
	if (data[0] & 1)
		limits = (struct image_limits){.width = IMAGE_ICON_MAX, .height = IMAGE_ICON_MAX};
	data++;
	len--;
	newline = memchr(data, '\n', MIN(len, image_header_max(&limits)));
	line_len = newline ? (size_t)(newline - data) + 1 : MIN(len, image_header_max(&limits));
	r = image_header_parse((const char *)data, line_len, &limits, &size);
	(void)image_error(r);
	if (r == IMAGE_OK) {
		CHECK(size.width >= 1 && size.width <= limits.width);
		CHECK(size.height >= 1 && size.height <= limits.height);
		CHECK(line_len <= image_header_max(&limits) && newline);
	} else {
		CHECK(size.width == 0);
	}
	copy = malloc(len + 1);
	CHECK(copy);
	memcpy(copy, data, len);
	image_tint(copy, len / 4, len > 4 ? (uint32_t)(data[0] << 16 | data[1] << 8 | data[2]) : 0);
	for (size_t i = 0; i + 4 <= len; i += 4)
		CHECK(copy[i + 3] == data[i + 3]);
	free(copy);
	return 0;
}
