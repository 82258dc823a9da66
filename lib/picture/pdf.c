/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/picture/pdf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/fd.h"

#define SIDE_MAX 65535U
#define DPI_MAX  10000U

/* Objects 1 and 2 are the catalogue and the list of pages; then of each page, in this order: */
enum { PAGE_OBJECT, CONTENT_OBJECT, IMAGE_OBJECT, LENGTH_OBJECT, PAGE_OBJECTS };
#define FIRST_PAGE_OBJECT 3
#define OBJECTS_MAX       (FIRST_PAGE_OBJECT + PDF_PAGES_MAX * PAGE_OBJECTS)

struct pdf {
	int fd;
	uint64_t written;         /* bytes of the file so far */
	uint64_t at[OBJECTS_MAX]; /* where each object begins */
	unsigned int n_pages;
	uint64_t left;         /* bytes that the page's pixels still need */
	uint64_t stream_begin; /* of the page's compressed pixels */
	bool deflating;
	z_stream z;
	uint8_t out[65536];
};

static int put(struct pdf *pdf, const void *data, size_t len)
{
	pdf->written += len;
	return fd_write_all(pdf->fd, data, len);
}

static int put_text(struct pdf *pdf, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int put_text(struct pdf *pdf, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		errno = EMSGSIZE;
		return -1;
	}
	return put(pdf, text, (size_t)n);
}

static int begin_object(struct pdf *pdf, unsigned int number)
{
	pdf->at[number] = pdf->written;
	return put_text(pdf, "%u 0 obj\n", number);
}

static unsigned int page_object(unsigned int page, unsigned int which)
{
	return FIRST_PAGE_OBJECT + page * PAGE_OBJECTS + which;
}

struct pdf *pdf_new(int fd)
{
	struct pdf *pdf = calloc(1, sizeof(*pdf));

	if (!pdf)
		return NULL;
	pdf->fd = fd;
	/* The second line's bytes tell transfer programs that this is no text. */
	if (put_text(pdf, "%%PDF-1.5\n%%\xe2\xe3\xcf\xd3\n"))
		return pdf_free(pdf);
	return pdf;
}

static int deflate_some(struct pdf *pdf, int flush)
{
	int r;

	do {
		pdf->z.next_out = pdf->out;
		pdf->z.avail_out = sizeof(pdf->out);
		r = deflate(&pdf->z, flush);
		if (r == Z_STREAM_ERROR) {
			errno = EIO;
			return -1;
		}
		if (put(pdf, pdf->out, sizeof(pdf->out) - pdf->z.avail_out))
			return -1;
	} while (pdf->z.avail_out == 0 || (flush == Z_FINISH && r != Z_STREAM_END));
	return 0;
}

/* The page and what draws its picture over all of it; the picture's stream is left open. */
static int begin_page(struct pdf *pdf, uint32_t width, uint32_t height, uint32_t dpi)
{
	unsigned int page = pdf->n_pages;
	double x = (double)width * 72 / dpi;
	double y = (double)height * 72 / dpi;
	char content[128];
	int n = snprintf(content, sizeof(content), "q %.2f 0 0 %.2f 0 0 cm /I Do Q\n", x, y);

	if (begin_object(pdf, page_object(page, PAGE_OBJECT)) ||
	    put_text(pdf,
	             "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.2f %.2f] /Contents %u 0 R "
	             "/Resources << /XObject << /I %u 0 R >> >> >>\nendobj\n",
	             x, y, page_object(page, CONTENT_OBJECT), page_object(page, IMAGE_OBJECT)))
		return -1;
	if (begin_object(pdf, page_object(page, CONTENT_OBJECT)) ||
	    put_text(pdf, "<< /Length %d >>\nstream\n%sendstream\nendobj\n", n, content))
		return -1;
	if (begin_object(pdf, page_object(page, IMAGE_OBJECT)) ||
	    put_text(
	            pdf,
	            "<< /Type /XObject /Subtype /Image /Width %u /Height %u /ColorSpace /DeviceRGB "
	            "/BitsPerComponent 8 /Filter /FlateDecode /Length %u 0 R >>\nstream\n",
	            width, height, page_object(page, LENGTH_OBJECT)))
		return -1;
	return 0;
}

static int end_page(struct pdf *pdf)
{
	uint64_t length;

	if (pdf->left > 0) {
		errno = EPIPE;
		return -1;
	}
	if (deflate_some(pdf, Z_FINISH))
		return -1;
	(void)deflateEnd(&pdf->z);
	pdf->deflating = false;
	length = pdf->written - pdf->stream_begin;
	if (put_text(pdf, "\nendstream\nendobj\n") ||
	    begin_object(pdf, page_object(pdf->n_pages, LENGTH_OBJECT)) ||
	    put_text(pdf, "%" PRIu64 "\nendobj\n", length))
		return -1;
	pdf->n_pages++;
	return 0;
}

int pdf_page(struct pdf *pdf, uint32_t width, uint32_t height, uint32_t dpi)
{
	if (pdf->deflating && end_page(pdf))
		return -1;
	if (width == 0 || width > SIDE_MAX || height == 0 || height > SIDE_MAX || dpi == 0 ||
	    dpi > DPI_MAX || pdf->n_pages == PDF_PAGES_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (begin_page(pdf, width, height, dpi))
		return -1;
	memset(&pdf->z, 0, sizeof(pdf->z));
	if (deflateInit(&pdf->z, Z_DEFAULT_COMPRESSION) != Z_OK) {
		errno = ENOMEM;
		return -1;
	}
	pdf->deflating = true;
	pdf->stream_begin = pdf->written;
	pdf->left = (uint64_t)width * height * 3;
	return 0;
}

int pdf_pixels(struct pdf *pdf, const uint8_t *rgb, size_t len)
{
	if (len > pdf->left) {
		errno = EOVERFLOW;
		return -1;
	}
	while (len > 0) {
		size_t n = MIN(len, (size_t)1 << 30);

		/* zlib's interface has no const; it does not write there. */
		pdf->z.next_in = (Bytef *)(uintptr_t)rgb;
		pdf->z.avail_in = (uInt)n;
		if (deflate_some(pdf, Z_NO_FLUSH))
			return -1;
		pdf->left -= n;
		rgb += n;
		len -= n;
	}
	return 0;
}

int pdf_finish(struct pdf *pdf)
{
	unsigned int n;
	uint64_t table;

	if (pdf->deflating && end_page(pdf))
		return -1;
	if (pdf->n_pages == 0) {
		errno = EPIPE;
		return -1;
	}
	n = FIRST_PAGE_OBJECT + pdf->n_pages * PAGE_OBJECTS;
	if (begin_object(pdf, 1) || put_text(pdf, "<< /Type /Catalog /Pages 2 0 R >>\nendobj\n") ||
	    begin_object(pdf, 2) ||
	    put_text(pdf, "<< /Type /Pages /Count %u /Kids [", pdf->n_pages))
		return -1;
	for (unsigned int i = 0; i < pdf->n_pages; i++) {
		if (put_text(pdf, "\n%u 0 R", page_object(i, PAGE_OBJECT)))
			return -1;
	}
	if (put_text(pdf, " ] >>\nendobj\n"))
		return -1;
	table = pdf->written;
	if (put_text(pdf, "xref\n0 %u\n0000000000 65535 f \n", n))
		return -1;
	for (unsigned int i = 1; i < n; i++) {
		if (put_text(pdf, "%010" PRIu64 " 00000 n \n", pdf->at[i]))
			return -1;
	}
	return put_text(pdf,
	                "trailer\n<< /Size %u /Root 1 0 R >>\nstartxref\n%" PRIu64 "\n%%%%EOF\n", n,
	                table);
}

struct pdf *pdf_free(struct pdf *pdf)
{
	if (pdf && pdf->deflating)
		(void)deflateEnd(&pdf->z);
	free(pdf);
	return NULL;
}
