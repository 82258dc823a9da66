/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a converted picture or document would be one that no program opens, or half of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/picture/pdf.h"
#include "lib/picture/png.h"
#include "tests/unit/unit.h"

static size_t content(int fd, char *data, size_t max)
{
	ssize_t n = pread(fd, data, max - 1, 0);

	assert_true(n >= 0 && (size_t)n < max);
	data[n] = '\0';
	return (size_t)n;
}

static void test_picture_png_frame(void **state)
{
	static char data[4096];
	uint8_t pixels[4 * 4 * 4] = {0};
	int fd = memfd_create("png", MFD_CLOEXEC);
	size_t len;

	assert_int_equal(png_write(fd, pixels, 4, 4, 4), 0);
	len = content(fd, data, sizeof(data));
	assert_memory_equal(data, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\4\10\6\0\0\0", 29);
	assert_memory_equal(data + len - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
	(void)close(fd);
}

static void test_picture_png_refuses(void **state)
{
	static const uint32_t rows[][3] = {
	        {0, 1, 4}, {1, 0, 4}, {65536, 1, 4}, {1, 65536, 4}, {1, 1, 2}};
	uint8_t pixels[4] = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(png_write(-1, pixels, rows[i][0], rows[i][1], rows[i][2]), -1);
	assert_int_equal(png_write(-1, pixels, 1, 1, 4), -1);
}

/* Where the table says an object begins, it does. */
static void check_table(const char *data, size_t len)
{
	const char *end = strstr(data + len - 40, "startxref\n");
	const char *table;
	unsigned long n;

	assert_non_null(end);
	table = data + strtoul(end + 10, NULL, 10);
	assert_memory_equal(table, "xref\n0 ", 7);
	n = strtoul(table + 7, NULL, 10);
	table = strchr(table + 7, '\n') + 1;
	for (unsigned long i = 1; i < n; i++) {
		const char *object = data + strtoul(table + i * 20, NULL, 10);
		char head[32];

		(void)snprintf(head, sizeof(head), "%lu 0 obj\n", i);
		assert_memory_equal(object, head, strlen(head));
	}
}

static void test_picture_pdf(void **state)
{
	static char data[65536];
	uint8_t row[30 * 3] = {1, 2, 3};
	int fd = memfd_create("pdf", MFD_CLOEXEC);
	struct pdf *pdf = pdf_new(fd);
	size_t len;

	assert_non_null(pdf);
	for (int page = 0; page < 3; page++) {
		assert_int_equal(pdf_page(pdf, 30, 2, 72), 0);
		assert_int_equal(pdf_pixels(pdf, row, 7), 0);
		assert_int_equal(pdf_pixels(pdf, row, sizeof(row)), 0);
		assert_int_equal(pdf_pixels(pdf, row, sizeof(row) - 7), 0);
		assert_int_equal(pdf_pixels(pdf, row, 1), -1);
		assert_int_equal(errno, EOVERFLOW);
	}
	assert_int_equal(pdf_finish(pdf), 0);
	pdf_free(pdf);
	len = content(fd, data, sizeof(data));
	check_table(data, len);
	(void)close(fd);
}

static void test_picture_pdf_incomplete(void **state)
{
	uint8_t pixel[3] = {0};
	int fd = memfd_create("pdf", MFD_CLOEXEC);
	struct pdf *pdf = pdf_new(fd);

	assert_int_equal(pdf_finish(pdf), -1);
	assert_int_equal(pdf_page(pdf, 0, 1, 72), -1);
	assert_int_equal(pdf_page(pdf, 1, 65536, 72), -1);
	assert_int_equal(pdf_page(pdf, 1, 1, 0), -1);
	assert_int_equal(pdf_page(pdf, 2, 1, 72), 0);
	assert_int_equal(pdf_pixels(pdf, pixel, 3), 0);
	assert_int_equal(pdf_page(pdf, 1, 1, 72), -1);
	assert_int_equal(pdf_finish(pdf), -1);
	pdf_free(pdf);
	(void)close(fd);
}

/* A full disk is an error, wherever it comes. */
static void test_picture_full_disk(void **state)
{
	static uint8_t noise[200 * 200 * 4];
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * i >> 3);
	assert_int_equal(png_write(fd, noise, 200, 200, 4), -1);
	assert_null(pdf_new(fd));
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_picture_png_frame),
	        cmocka_unit_test(test_picture_png_refuses),
	        cmocka_unit_test(test_picture_pdf),
	        cmocka_unit_test(test_picture_pdf_incomplete),
	        cmocka_unit_test(test_picture_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
