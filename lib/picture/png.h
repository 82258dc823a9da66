/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_PICTURE_PNG_H
#define LIB_PICTURE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Writing PNG files from raw pixels. There is no reader: a picture from elsewhere is rendered in a
 * disposable, and comes as pixels. Source: RFC 2083.
 */

/**
 * png_write() - a whole file to a descriptor
 * @pixels:    rows from top to bottom; width × height × channels bytes
 * @channels:  3 (RGB) or 4 (RGBA, not premultiplied)
 * Bounds: 1 … 65535 either way.
 * Errors: 0, or -1 with errno.
 */
int png_write(int fd, const uint8_t *pixels, uint32_t width, uint32_t height, unsigned int channels)
        MUST_CHECK;

#endif
