/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-convert-img: a picture of any format becomes a PNG file that cannot hurt. A disposable renders it;
 * what comes back is a size and pixels, from which a new file is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "lib/picture/png.h"
#include "proto/services/image.h"
#include "qube/services/child.h"
#include "qube/services/output_file.h"

static const struct image_limits limits = {.width = IMAGE_WIDTH_MAX, .height = IMAGE_HEIGHT_MAX};

/* Given, to be freed, for IMAGE_OK. */
static enum image_result take_answer(struct input *in, struct image_size *size,
                                     uint8_t **ret_pixels)
{
	char line[IMAGE_HEADER_MAX];
	ssize_t n = input_line(in, line, image_header_max(&limits));
	enum image_result r;
	uint8_t *pixels;
	size_t len;

	if (n < 0)
		return IMAGE_E_SHORT;
	r = image_header_parse(line, (size_t)n, &limits, size);
	if (r != IMAGE_OK)
		return r;
	len = (size_t)size->width * size->height * 4;
	pixels = malloc(len);
	if (!pixels || input_exact(in, pixels, len)) {
		free(pixels);
		return IMAGE_E_SHORT;
	}
	*ret_pixels = pixels;
	return IMAGE_OK;
}

static int complain(const char *name, const char *what)
{
	(void)fprintf(stderr, "qvm-convert-img: %s: %s\n", name, what);
	return 1;
}

static int write_picture(const char *path, const struct image_size *size, const uint8_t *pixels,
                         bool force)
{
	struct output_file out = {.fd = -1};
	int status = 0;

	if (output_file_open(&out, path))
		return complain(path, strerror(errno));
	if (png_write(out.fd, pixels, size->width, size->height, 4) ||
	    output_file_keep(&out, force))
		status = complain(path, errno == EEXIST ? "exists; --force replaces it"
		                                        : strerror(errno));
	output_file_drop(&out);
	return status;
}

static int convert(const char *source, const char *target_file, const char *qube, bool force)
{
	static struct input in;
	static const char request[] = "-\n";
	OWNED_FD int file = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct child_call call;
	struct image_size size;
	enum image_result r;
	uint8_t *pixels = NULL;
	int status;

	if (file < 0)
		return complain(source, strerror(errno));
	if (child_call(qube, "qubes.GetImageRGBA", request, sizeof(request) - 1, file, &call))
		return complain("qrexec-client-vm", strerror(errno));
	input_init(&in, call.fd);
	r = take_answer(&in, &size, &pixels);
	if (r == IMAGE_OK) {
		/* More than the pixels is not read. */
		child_call_abort(&call);
		status = write_picture(target_file, &size, pixels, force);
	} else {
		status = child_call_end(&call);
		status = complain(source, status == 126 ? "the policy refuses qubes.GetImageRGBA"
		                                        : image_error(r));
	}
	free(pixels);
	return status;
}

static int usage(FILE *to, int status)
{
	(void)fputs("usage: qvm-convert-img [options] PICTURE FILE.png\n"
	            "Render a picture in a disposable, and write what it looks like to a new PNG "
	            "file.\n"
	            "  -f, --force         replace FILE.png if it is there already\n"
	            "  -t, --target=QUBE   render there; default @dispvm, a new disposable\n",
	            to);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"force", no_argument, NULL, 'f'},
	                                      {"target", required_argument, NULL, 't'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {"version", no_argument, NULL, 'V'},
	                                      {0}};
	const char *qube = "@dispvm";
	bool force = false;
	int c;

	log_init("qvm-convert-img");
	while ((c = getopt_long(argc, argv, "ft:h", names, NULL)) != -1) {
		if (c == 'f')
			force = true;
		else if (c == 't')
			qube = optarg;
		else if (c == 'V')
			return puts("qvm-convert-img " SKERRY_VERSION) < 0;
		else
			return c == 'h' ? usage(stdout, 0) : usage(stderr, 2);
	}
	if (optind + 2 != argc)
		return usage(stderr, 2);
	return convert(argv[optind], argv[optind + 1], qube, force);
}
