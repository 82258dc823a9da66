/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-convert-pdf: a document becomes a PDF file that cannot hurt. A disposable renders it and sends
 * pixels; here they become the pages of a new file, in which nothing of the old one is left but how it
 * looked. Whatever the disposable sends, this program ends with such a file or with none.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call/number.h"
#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "lib/picture/pdf.h"
#include "proto/services/pages.h"
#include "qube/services/child.h"
#include "qube/services/output_file.h"

#define NEEDS_OFFICE 64
#define SERVICE_MAX  64

static struct options {
	const char *target;
	const char *output;
	const char *archive;
	const char *password;
	long dpi;
	bool in_place;
	bool force;
	bool quiet;
} options = {.target = "@dispvm", .dpi = 300};

/* One answer: what it says next decides what is read next. */
static enum pages_result take_answer(struct input *in, struct pdf *pdf, const char *name,
                                     int *ret_error)
{
	static uint8_t buf[INPUT_BUFFER];
	struct pages pages = pages_begin();
	enum pages_result r = PAGES_OK;
	char line[PAGES_LINE_MAX];
	ssize_t n;

	while (r == PAGES_OK && pages.want != PAGES_WANT_END) {
		if (pages.want == PAGES_WANT_PIXELS) {
			n = input_some(in, buf, (size_t)MIN((uint64_t)sizeof(buf), pages.left));
			if (n == 0)
				return PAGES_E_SHORT;
			if (n < 0 || pdf_pixels(pdf, buf, (size_t)n))
				goto failed;
			pages_pixels(&pages, (size_t)n);
			continue;
		}
		n = input_line(in, line, sizeof(line));
		if (n < 0)
			goto failed;
		r = pages_line(&pages, line, (size_t)n);
		if (r != PAGES_OK || pages.want != PAGES_WANT_PIXELS)
			continue;
		if (!options.quiet)
			(void)fprintf(stderr, "%s: page %u of %u\n", name, pages.page,
			              pages.n_pages);
		if (pdf_page(pdf, pages.size.width, pages.size.height, (uint32_t)options.dpi))
			goto failed;
	}
	if (r != PAGES_OK)
		return r;
	n = input_some(in, buf, 1);
	if (n < 0)
		goto failed;
	return n == 0 ? PAGES_OK : PAGES_E_LONG;
failed:
	*ret_error = errno;
	return PAGES_OK;
}

static int complain(const char *name, const char *what)
{
	static char safe[PATH_MAX * 4];

	(void)escape_text(safe, sizeof(safe), name, strlen(name));
	(void)fprintf(stderr, "qvm-convert-pdf: %s: %s\n", safe, what);
	return 1;
}

static int complain_errno(const char *name)
{
	return complain(name, strerror(errno));
}

/* How the call went, once the answer was taken or not. */
static int judge(const char *name, struct child_call *call, enum pages_result r, int error)
{
	int status;

	if (error) {
		child_call_abort(call);
		errno = error;
		return complain_errno(name);
	}
	if (r != PAGES_OK && r != PAGES_E_SHORT) {
		child_call_abort(call);
		return complain(name, pages_error(r));
	}
	status = child_call_end(call);
	if (status == NEEDS_OFFICE)
		return complain(
		        name,
		        "this kind of document needs LibreOffice in the disposable's template");
	if (status == 126)
		return complain(name, "the policy refuses qubes.PdfConvert");
	if (status != 0)
		return complain(name, "the disposable could not render it");
	return r == PAGES_OK ? 0 : complain(name, pages_error(r));
}

static int convert_to(const char *name, int file, struct output_file *out)
{
	static struct input in;
	char service[SERVICE_MAX];
	char head[1100] = "";
	struct child_call call;
	enum pages_result r = PAGES_OK;
	struct pdf *pdf;
	int error = 0;
	int n = 0;
	int status;

	(void)snprintf(service, sizeof(service), "qubes.PdfConvert+%ld", options.dpi);
	if (options.password)
		n = snprintf(head, sizeof(head), "--password=%s\n", options.password);
	if (n < 0 || (size_t)n >= sizeof(head) - 76)
		return complain(name, "the password is too long");
	if (child_call(options.target, service, head, (size_t)n, file, &call)) {
		(void)fprintf(stderr, "qvm-convert-pdf: qrexec-client-vm: %s\n", strerror(errno));
		return 1;
	}
	pdf = pdf_new(out->fd);
	input_init(&in, call.fd);
	if (pdf)
		r = take_answer(&in, pdf, name, &error);
	else
		error = errno;
	status = judge(name, &call, r, error);
	if (status == 0 && (pdf_finish(pdf) || output_file_keep(out, options.force)))
		status = complain(out->path, errno == EEXIST ? "exists; --force replaces it"
		                                             : strerror(errno));
	pdf_free(pdf);
	return status;
}

/* NAME.trusted.pdf beside it, or where the options say. */
static int place(const char *name, char path[PATH_MAX])
{
	const char *base = strrchr(name, '/');
	const char *dot = strrchr(base ? base : name, '.');
	int len = dot && dot != name && dot != base + 1 ? (int)(dot - name) : (int)strlen(name);
	int n;

	if (options.output)
		n = snprintf(path, PATH_MAX, "%s", options.output);
	else if (options.in_place)
		n = snprintf(path, PATH_MAX, "%s", name);
	else
		n = snprintf(path, PATH_MAX, "%.*s.trusted.pdf", len, name);
	return n > 0 && n < PATH_MAX ? 0 : -1;
}

/* The original goes into a folder of its own, if the user wants it out of the way. */
static int archive(const char *name)
{
	char copy[PATH_MAX];
	char path[PATH_MAX];
	int n = snprintf(copy, sizeof(copy), "%s", name);

	if (n < 0 || (size_t)n >= sizeof(copy))
		return -1;
	n = snprintf(path, sizeof(path), "%s/%s", options.archive, basename(copy));
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	if (mkdir(options.archive, 0700) && errno != EEXIST)
		return -1;
	return renameat2(AT_FDCWD, name, AT_FDCWD, path, RENAME_NOREPLACE);
}

static int convert(const char *name)
{
	struct output_file out = {.fd = -1};
	OWNED_FD int file = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char path[PATH_MAX];
	int status;

	if (file < 0 || fd_set_blocking(file, true))
		return complain_errno(name);
	if (place(name, path))
		return complain(name, "the name is too long");
	if (!options.force && !options.in_place && access(path, F_OK) == 0)
		return complain(path, "exists; --force replaces it");
	if (output_file_open(&out, path))
		return complain_errno(path);
	status = convert_to(name, file, &out);
	output_file_drop(&out);
	if (status)
		return status;
	if (options.archive && archive(name))
		return complain_errno(name);
	if (!options.quiet)
		(void)printf("%s\n", path);
	return 0;
}

static int usage(FILE *to, int status)
{
	(void)fputs(
	        "usage: qvm-convert-pdf [options] FILE...\n"
	        "Render documents in a disposable, and make new PDF files of what they look like:\n"
	        "NAME.trusted.pdf beside each.\n"
	        "  -r, --resolution=DPI    10 to 1200; default 300\n"
	        "  -o, --output=FILE       the new file (for one document)\n"
	        "  -i, --in-place          replace the document itself\n"
	        "  -a, --archive=FOLDER    move the documents there when they are converted\n"
	        "  -f, --force             replace files that are there already\n"
	        "  -p, --password=TEXT     of encrypted documents\n"
	        "  -t, --target=QUBE       render there; default @dispvm, a new disposable\n"
	        "  -q, --quiet             say only what goes wrong\n",
	        to);
	return status;
}

static int parse(int argc, char **argv)
{
	static const struct option names[] = {{"resolution", required_argument, NULL, 'r'},
	                                      {"output", required_argument, NULL, 'o'},
	                                      {"in-place", no_argument, NULL, 'i'},
	                                      {"archive", required_argument, NULL, 'a'},
	                                      {"force", no_argument, NULL, 'f'},
	                                      {"password", required_argument, NULL, 'p'},
	                                      {"target", required_argument, NULL, 't'},
	                                      {"quiet", no_argument, NULL, 'q'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {"version", no_argument, NULL, 'V'},
	                                      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "r:o:ia:fp:t:qh", names, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (number_parse(optarg, 10, 1200, &options.dpi))
				return usage(stderr, 2);
			break;
		case 'o':
			options.output = optarg;
			break;
		case 'i':
			options.in_place = options.force = true;
			break;
		case 'a':
			options.archive = optarg;
			break;
		case 'f':
			options.force = true;
			break;
		case 'p':
			options.password = optarg;
			break;
		case 't':
			options.target = optarg;
			break;
		case 'q':
			options.quiet = true;
			break;
		case 'h':
			exit(usage(stdout, 0));
		case 'V':
			exit(puts("qvm-convert-pdf " SKERRY_VERSION) < 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind == argc || (options.output && (optind + 1 != argc || options.in_place)) ||
	    (options.in_place && options.archive) ||
	    (options.password && strchr(options.password, '\n')))
		return usage(stderr, 2);
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	log_init("qvm-convert-pdf");
	status = parse(argc, argv);
	if (status)
		return status;
	for (int i = optind; i < argc; i++)
		status |= convert(argv[i]);
	return status;
}
