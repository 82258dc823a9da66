/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_PAGES_H
#define PROTO_SERVICES_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/services/image.h"

/*
 * The answer of qubes.PdfConvert: a line with the number of pages, then for each a line "WIDTH HEIGHT" and
 * its pixels, three bytes each. A machine of states that is given bytes as they come: it says what may
 * come next, so that its caller neither reads nor keeps anything that does not belong there. Pure.
 * Source: doc/protocol/services.md, PdfConvert.
 */

#define PAGES_MAX      10000 /* protocol */
#define PAGES_SIDE_MAX 10000 /* pixels; protocol */
#define PAGES_LINE_MAX 12    /* "10000 10000" and a newline */
/* Pixels of all pages together: some 1,200 of A4 at 300 dpi; chosen, for the disk of who asks. */
#define PAGES_BYTES_MAX (UINT64_C(32) << 30)

enum pages_result {
	PAGES_OK,
	PAGES_E_COUNT, /* the first line is no number of pages within 1 … PAGES_MAX */
	PAGES_E_SIZE,  /* a page's line is not of the form, or not within PAGES_SIDE_MAX */
	PAGES_E_BYTES, /* more than PAGES_BYTES_MAX */
	PAGES_E_SHORT, /* it ended before the last pixel */
	PAGES_E_LONG,  /* something came after it */
};

enum pages_want {
	PAGES_WANT_LINE,   /* up to PAGES_LINE_MAX bytes, up to and with a newline: pages_line() */
	PAGES_WANT_PIXELS, /* pages.left bytes: pages_pixels() */
	PAGES_WANT_END,
};

struct pages {
	enum pages_want want;
	uint32_t n_pages;       /* 0 before the first line */
	uint32_t page;          /* the one being read, from 1; 0: none yet */
	struct image_size size; /* of it */
	uint64_t left;          /* bytes of it */
	uint64_t total;         /* of all pages so far */
};

static inline struct pages pages_begin(void)
{
	return (struct pages){.want = PAGES_WANT_LINE};
}

/**
 * pages_line() - a line of the answer
 * @line:  hostile; as for image_header_parse()
 * Errors: PAGES_OK, with what is wanted next; PAGES_E_COUNT, PAGES_E_SIZE, PAGES_E_BYTES, PAGES_E_SHORT.
 * Test:   tests/unit/proto/services/pages.c, fuzz/pages.c
 */
enum pages_result pages_line(struct pages *pages, const char *line, size_t len) MUST_CHECK;

/** pages_pixels() - len bytes of pixels came; at most pages.left */
void pages_pixels(struct pages *pages, size_t len);

const char *pages_error(enum pages_result result);

#endif
