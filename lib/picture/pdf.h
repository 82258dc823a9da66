/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_PICTURE_PDF_H
#define LIB_PICTURE_PDF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Writing a PDF file whose pages are pictures and nothing else: no text, no fonts, no scripts, no links.
 * Pixels are given in pieces, so a page is never in memory as a whole. Source: ISO 32000-1, 7.
 */

struct pdf;

#define PDF_PAGES_MAX 10000

/** pdf_new() - a file to be written to a descriptor, which is borrowed; NULL with errno */
struct pdf *pdf_new(int fd) MUST_CHECK;

/**
 * pdf_page() - begins a page; the one before must have all its pixels
 * @dpi:  pixels per inch: how large the page is shown
 * Bounds: 1 … 65535 pixels either way, 1 … 10000 dpi, PDF_PAGES_MAX pages.
 * Errors: 0, or -1 with errno.
 */
int pdf_page(struct pdf *pdf, uint32_t width, uint32_t height, uint32_t dpi) MUST_CHECK;

/** pdf_pixels() - more RGB of the page, rows from top to bottom; 0, or -1 with errno (EOVERFLOW: more
 *  than the page has) */
int pdf_pixels(struct pdf *pdf, const uint8_t *rgb, size_t len) MUST_CHECK;

/** pdf_finish() - the file's end; 0, or -1 with errno (EPIPE: a page is not complete, or there is none) */
int pdf_finish(struct pdf *pdf) MUST_CHECK;

/** pdf_free() - returns NULL; does nothing to the descriptor */
struct pdf *pdf_free(struct pdf *pdf);

#endif
