/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_IMAGE_H
#define PROTO_SERVICES_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * A picture as qubes.GetImageRGBA and qubes.PdfConvert send it: one line "WIDTH HEIGHT", then raw
 * pixels, rows from top to bottom. No format is parsed outside the disposable that rendered it. Pure.
 * Source: doc/protocol/services.md, GetImageRGBA.
 */

#define IMAGE_WIDTH_MAX  8192 /* protocol */
#define IMAGE_HEIGHT_MAX 5120
#define IMAGE_ICON_MAX   2048 /* either way; protocol */
#define IMAGE_HEADER_MAX 32   /* bytes; more digits than any limit below has */

struct image_limits {
	uint32_t width; /* inclusive; 1 … 999,999 */
	uint32_t height;
};

struct image_size {
	uint32_t width; /* 1 … limits.width */
	uint32_t height;
};

enum image_result {
	IMAGE_OK,
	IMAGE_E_NONE,   /* the stream ended at once: the other side has no picture */
	IMAGE_E_FORMAT, /* the line is not of the form */
	IMAGE_E_SIZE,   /* of the form, and not within the limits */
	IMAGE_E_SHORT,  /* fewer pixels than announced; for callers that read them */
};

/** image_header_max() - bytes of the line at most, with its newline */
size_t image_header_max(const struct image_limits *limits);

/**
 * image_header_parse() - the line
 * @line:  hostile; what came up to and with the first newline, or image_header_max() bytes
 *         without one, or fewer if the stream ended
 * @ret_size: written for IMAGE_OK only
 * Errors: IMAGE_OK, IMAGE_E_NONE, IMAGE_E_FORMAT, IMAGE_E_SIZE.
 * Test:   tests/unit/proto/services/image.c, vectors image.json, fuzz/image.c
 */
enum image_result image_header_parse(const char *line, size_t len,
                                     const struct image_limits *limits, struct image_size *ret_size)
        MUST_CHECK;

/** image_error() - a text for users */
const char *image_error(enum image_result result);

/**
 * image_tint() - pixels in a label's colour: its hue, the picture's shades; alpha stays
 * @rgba:    changed in place; n_pixels times four bytes
 * @colour:  0xRRGGBB
 */
void image_tint(uint8_t *rgba, size_t n_pixels, uint32_t colour);

#endif
