/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_TEMPLATE_PAYLOAD_H
#define TOOLS_TEMPLATE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * The payload of a template's package: a cpio archive, compressed, whose files root.img.part.00, .01 … put
 * together are a tar archive of one file, root.img; and small files of text beside them. It is signed, and read all
 * the same as if it was not, by two confined processes:
 *
 *   unpack   gzip, xz or zstd; may read the system's libraries and what it was given.
 *   read     payload_read(): the image goes into a pipe, the texts to us. Nothing is written under any name that
 *            stands in the package.
 *
 * The last byte of the image comes after everything else was found to be right. So who imports it, which is done
 * when all bytes are there or not at all, never has the image of a package that is wrong.
 */

#define PAYLOAD_ROOT_MAX    (256ULL << 30) /* bytes of an image; chosen */
#define PAYLOAD_ENTRIES_MAX 65536U         /* files of a package; chosen */
#define PAYLOAD_REGIONS_MAX (1U << 19)     /* of a sparse image; chosen */
#define PAYLOAD_TEXT_MAX    8192U          /* bytes of a text; chosen */

enum payload_text {
	PAYLOAD_CONF,       /* template.conf */
	PAYLOAD_MENU,       /* vm-whitelisted-appmenus.list: of qubes that are made from it */
	PAYLOAD_OWN_MENU,   /* whitelisted-appmenus.list: of the template */
	PAYLOAD_NETVM_MENU, /* netvm-whitelisted-appmenus.list */
	PAYLOAD_TEXTS,
};

struct payload_info {
	uint64_t root_size;
	/* NUL-terminated; printable ASCII and newlines; "" if there is none. Each menu: names. */
	char texts[PAYLOAD_TEXTS][PAYLOAD_TEXT_MAX + 1];
};

enum payload_result {
	PAYLOAD_OK = 0,
	PAYLOAD_E_READ,  /* it ended too early, or was not what its compression says */
	PAYLOAD_E_WRITE, /* who takes the image does not take more */
	PAYLOAD_E_CPIO,
	PAYLOAD_E_PATH,  /* a path with ".." */
	PAYLOAD_E_PARTS, /* a part of the image is missing, twice there, or no file */
	PAYLOAD_E_TAR,
	PAYLOAD_E_SPARSE,
	PAYLOAD_E_SIZE, /* too large */
	PAYLOAD_E_TEXT, /* a text that is too long, or of other characters */
	PAYLOAD_E_PV,   /* wants to be a PV domain */
	PAYLOAD_E_NONE, /* no image */
	PAYLOAD_E_RIGHTS,
	PAYLOAD_E_MAX,
};

struct payload_io {
	void *ctx;
	/* exactly so many bytes; 0, or -1 */
	int (*read)(void *ctx, void *data, size_t len);
	/* the size of the image, before its first byte; 0, or -1 */
	int (*begin)(void *ctx, uint64_t size);
	int (*write)(void *ctx, const void *data, size_t len);
};

/**
 * payload_read() - all of a payload that is not compressed
 * @name:     of the template: its files lie in /var/lib/qubes/vm-templates/NAME
 * @allow_pv: template.conf may say virt_mode=pv
 * Trust:  every byte is hostile. At most PAYLOAD_ROOT_MAX bytes are written, nothing but *ret and the image.
 * Test:   tests/blackbox/template_install.py, fuzz/template_payload.c
 */
enum payload_result payload_read(const struct payload_io *io, const char *name, bool allow_pv,
                                 struct payload_info *ret) MUST_CHECK;

/** payload_line() - the next line of a text, without blanks at its ends; *at moves behind it. False: none */
bool payload_line(const char *text, size_t *at, char *line, size_t room);

const char *payload_error(enum payload_result result);

struct payload {
	pid_t unpacker, reader;
	int result;
	int image; /* the image is read from here: size bytes */
	uint64_t size;
};

struct payload_options {
	const char *name; /* of the template */
	bool allow_pv;
	bool show; /* what the program that decompresses says goes to standard error, as it is */
};

/**
 * payload_start() - both processes; returns when the size of the image is known
 * @at:    where the payload begins in the file
 * Errors: 0; -1 with *ret_why
 */
int payload_start(int package_fd, uint64_t at, const struct payload_options *options,
                  struct payload *ret, const char **ret_why) MUST_CHECK;

/** payload_end() - once nothing of the image is wanted any more; 0 with *ret, or -1 with *ret_why */
int payload_end(struct payload *payload, struct payload_info *ret, const char **ret_why) MUST_CHECK;

#endif
