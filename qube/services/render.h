/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_RENDER_H
#define QUBE_SERVICES_RENDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/base/input.h"

/*
 * Files of any kind to pixels, in a disposable: with poppler, GraphicsMagick, librsvg and LibreOffice as
 * Debian has them. All of them may be taken over by the file; what they hand out is believed by nobody,
 * and this qube is destroyed afterwards. Which of them sees a file is decided here by the file's first
 * bytes, not by its name and not by the renderer, some of whose formats are programs.
 */

#define RENDER_FILE_MAX (2ULL << 30) /* bytes of a file; chosen */

enum render_kind {
	RENDER_UNKNOWN,
	RENDER_PDF,
	RENDER_SVG,
	RENDER_PICTURE, /* of a format that GraphicsMagick reads: format is set */
};

struct render {
	char folder[PATH_MAX]; /* our own, private */
	char file[PATH_MAX];   /* the document, in it */
	enum render_kind kind;
	const char *format; /* GraphicsMagick's name */
};

/** render_init() - makes the folder; 0, or -1 with errno */
int render_init(struct render *render) MUST_CHECK;

/** render_fini() - removes it with all that is in it */
void render_fini(struct render *render);

/**
 * render_receive() - the document from a stream
 * @head:  head_len bytes of it that were read already
 * Errors: 0, or -1 with errno (EFBIG: more than RENDER_FILE_MAX).
 */
int render_receive(struct render *render, const void *head, size_t head_len, struct input *in)
        MUST_CHECK;

/** render_open() - the document is a file of this qube, by path; copied, so that it cannot change */
int render_open(struct render *render, const char *path) MUST_CHECK;

/**
 * render_picture() - a picture's size and pixels to standard output
 * @side:   0, or an SVG file is drawn so large
 * @alpha:  RGBA; else RGB on white
 * @max:    pixels either way; a larger one is made smaller
 * Errors: 0; -1 after a message.
 */
int render_picture(struct render *render, uint32_t side, bool alpha, uint32_t max) MUST_CHECK;

#endif
