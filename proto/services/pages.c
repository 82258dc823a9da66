/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/pages.h"

static enum pages_result take_count(struct pages *pages, const char *line, size_t len)
{
	uint32_t n = 0;

	/* 1 to 5 digits and a newline. */
	if (len < 2 || len > 6 || line[len - 1] != '\n')
		return PAGES_E_COUNT;
	for (size_t i = 0; i < len - 1; i++) {
		if (line[i] < '0' || line[i] > '9')
			return PAGES_E_COUNT;
		n = n * 10 + (uint32_t)(line[i] - '0');
	}
	if (n < 1 || n > PAGES_MAX)
		return PAGES_E_COUNT;
	pages->n_pages = n;
	return PAGES_OK;
}

enum pages_result pages_line(struct pages *pages, const char *line, size_t len)
{
	static const struct image_limits limits = {.width = PAGES_SIDE_MAX,
	                                           .height = PAGES_SIDE_MAX};
	struct image_size size;

	if (len == 0)
		return PAGES_E_SHORT;
	if (pages->n_pages == 0)
		return take_count(pages, line, len);
	if (image_header_parse(line, len, &limits, &size) != IMAGE_OK)
		return PAGES_E_SIZE;
	pages->left = (uint64_t)size.width * size.height * 3;
	if (pages->left > PAGES_BYTES_MAX - pages->total)
		return PAGES_E_BYTES;
	pages->total += pages->left;
	pages->size = size;
	pages->page++;
	pages->want = PAGES_WANT_PIXELS;
	return PAGES_OK;
}

void pages_pixels(struct pages *pages, size_t len)
{
	pages->left -= MIN((uint64_t)len, pages->left);
	if (pages->left > 0)
		return;
	pages->want = pages->page == pages->n_pages ? PAGES_WANT_END : PAGES_WANT_LINE;
}

const char *pages_error(enum pages_result result)
{
	static const char *const texts[] = {
	        [PAGES_OK] = "",
	        [PAGES_E_COUNT] = "no number of pages, or more than 10000",
	        [PAGES_E_SIZE] = "a page of no size, or larger than 10000 pixels",
	        [PAGES_E_BYTES] = "more pixels than are taken of one document",
	        [PAGES_E_SHORT] = "the answer ended too early",
	        [PAGES_E_LONG] = "something came after the last page",
	};

	return texts[result];
}
