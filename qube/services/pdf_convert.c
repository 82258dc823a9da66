/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.PdfConvert[+DPI], in a disposable: a document of any kind comes in, pixels of its pages go out.
 * An optional first line --password=… opens an encrypted one. Exit status 64: it would need LibreOffice,
 * which is not installed here. Source: doc/protocol/services.md, PdfConvert.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call/number.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/services/pages.h"
#include "qube/services/child.h"
#include "qube/services/render.h"

#define PASSWORD     "--password="
#define PASSWORD_MAX 1024 /* bytes of that line; chosen */
#define DPI_DEFAULT  300
#define NEEDS_OFFICE 64
#define INFO_MAX     65536

static struct {
	struct render render;
	long dpi;
	char password[PASSWORD_MAX];
	struct input in;
} convert;

static int receive(void)
{
	char line[PASSWORD_MAX];
	ssize_t n;

	input_init(&convert.in, STDIN_FILENO);
	n = input_line(&convert.in, line, sizeof(line));
	if (n < 0)
		return -1;
	if ((size_t)n > sizeof(PASSWORD) && memcmp(line, PASSWORD, sizeof(PASSWORD) - 1) == 0 &&
	    line[n - 1] == '\n') {
		memcpy(convert.password, line + sizeof(PASSWORD) - 1, (size_t)n - sizeof(PASSWORD));
		n = 0;
	}
	return render_receive(&convert.render, line, (size_t)n, &convert.in);
}

static int count_pages(void)
{
	static char info[INFO_MAX];
	const char *argv[] = {"pdfinfo", "-upw", convert.password, convert.render.file, NULL};
	const char *line;
	long n;

	if (child_output(argv, -1, info, sizeof(info)) != 0)
		return -1;
	line = strstr(info, "\nPages:");
	n = line ? strtol(line + sizeof("\nPages:") - 1, NULL, 10) : 0;
	return n >= 1 && n <= PAGES_MAX ? (int)n : -1;
}

/* P6, width, height and 255, each followed by one blank or newline, as pdftoppm writes it. */
static int read_ppm_head(struct input *in, unsigned int *ret_width, unsigned int *ret_height)
{
	char line[32];
	ssize_t n = input_line(in, line, sizeof(line) - 1);

	if (n != 3 || memcmp(line, "P6\n", 3) != 0)
		return -1;
	n = input_line(in, line, sizeof(line) - 1);
	if (n < 0)
		return -1;
	line[n] = '\0';
	if (sscanf(line, "%u %u\n", ret_width, ret_height) != 2)
		return -1;
	n = input_line(in, line, sizeof(line) - 1);
	return n == 4 && memcmp(line, "255\n", 4) == 0 ? 0 : -1;
}

/* Errors: 0; 1: too large at this resolution, and nothing was sent; -1. */
static int send_page(int page, bool fit)
{
	char number[16];
	char dpi[16];
	char head[32];
	const char *argv[] = {"pdftoppm",
	                      "-q",
	                      "-f",
	                      number,
	                      "-l",
	                      number,
	                      "-upw",
	                      convert.password,
	                      fit ? "-scale-to" : "-r",
	                      dpi,
	                      convert.render.file,
	                      NULL};
	unsigned long long copied;
	unsigned int width;
	unsigned int height;
	int status;
	pid_t pid;
	int fd;
	int n;
	int r = -1;

	(void)snprintf(number, sizeof(number), "%d", page);
	(void)snprintf(dpi, sizeof(dpi), "%ld", fit ? (long)PAGES_SIDE_MAX : convert.dpi);
	if (child_start(argv, -1, &fd, &pid))
		return -1;
	input_init(&convert.in, fd);
	if (read_ppm_head(&convert.in, &width, &height) == 0) {
		if (width > PAGES_SIDE_MAX || height > PAGES_SIDE_MAX) {
			r = 1;
		} else {
			n = snprintf(head, sizeof(head), "%u %u\n", width, height);
			r = fd_write_all(STDOUT_FILENO, head, (size_t)n) ||
			                    input_copy(&convert.in, STDOUT_FILENO,
			                               (unsigned long long)width * height * 3,
			                               &copied)
			            ? -1
			            : 0;
		}
	}
	(void)close(fd);
	status = child_wait(pid);
	return r == 0 && status != 0 ? -1 : r;
}

static int send_document(void)
{
	int n_pages = count_pages();
	int r;

	if (n_pages < 0) {
		LOG("the document cannot be opened: damaged, more than %d pages, or another "
		    "password",
		    PAGES_MAX);
		return 1;
	}
	if (dprintf(STDOUT_FILENO, "%d\n", n_pages) < 0)
		return 1;
	for (int page = 1; page <= n_pages; page++) {
		r = send_page(page, false);
		if (r > 0)
			r = send_page(page, true);
		if (r) {
			LOG("page %d of %d cannot be rendered", page, n_pages);
			return 1;
		}
	}
	return 0;
}

/* What is neither PDF nor picture goes through LibreOffice, where that is installed. */
static int from_office(void)
{
	char out[PATH_MAX + 8];
	static char none[INFO_MAX];
	const char *argv[] = {"soffice",  "--headless",          "--convert-to",      "pdf",
	                      "--outdir", convert.render.folder, convert.render.file, NULL};

	(void)snprintf(out, sizeof(out), "%s.pdf", convert.render.file);
	if (child_output(argv, -1, none, sizeof(none)) < 0 && errno == ENOENT)
		return NEEDS_OFFICE;
	if (rename(out, convert.render.file)) {
		LOG("the document is of no kind that is known here");
		return 1;
	}
	return send_document();
}

static int run(void)
{
	if (render_init(&convert.render) || receive()) {
		LOG_ERRNO("the document");
		return 1;
	}
	switch (convert.render.kind) {
	case RENDER_PDF:
		return send_document();
	case RENDER_PICTURE:
	case RENDER_SVG:
		if (dprintf(STDOUT_FILENO, "1\n") < 0)
			return 1;
		return render_picture(&convert.render, 0, false, PAGES_SIDE_MAX) ? 1 : 0;
	case RENDER_UNKNOWN:
	default:
		return from_office();
	}
}

int main(int argc, char **argv)
{
	int status;

	log_init("qubes.PdfConvert");
	convert.dpi = DPI_DEFAULT;
	if (argc > 1 && *argv[1] && number_parse(argv[1], 10, 1200, &convert.dpi)) {
		LOG("the resolution must be 10 to 1200");
		return 2;
	}
	status = run();
	render_fini(&convert.render);
	return status;
}
