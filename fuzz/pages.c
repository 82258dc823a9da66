/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer of qubes.PdfConvert, read as its reader does: what is asked for is bounded, and it ends. */
#include "proto/services/pages.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pages pages = pages_begin();
	enum pages_result r = PAGES_OK;

	while (r == PAGES_OK && pages.want != PAGES_WANT_END) {
		const uint8_t *newline;
		size_t n;

		if (pages.want == PAGES_WANT_PIXELS) {
			CHECK(pages.left >= 1 && pages.left <= UINT64_C(300000000));
			n = (size_t)MIN((uint64_t)len, pages.left);
			if (n == 0)
				return 0;
			pages_pixels(&pages, n);
		} else {
			newline = memchr(data, '\n', MIN(len, (size_t)PAGES_LINE_MAX));
			n = newline ? (size_t)(newline - data) + 1
			            : MIN(len, (size_t)PAGES_LINE_MAX);
			r = pages_line(&pages, (const char *)data, n);
		}
		data += n;
		len -= n;
		CHECK(pages.n_pages <= PAGES_MAX && pages.page <= pages.n_pages);
		CHECK(pages.total <= PAGES_BYTES_MAX);
	}
	(void)pages_error(r);
	return 0;
}
