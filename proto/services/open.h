/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_OPEN_H
#define PROTO_SERVICES_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * What another qube wants opened here: the name field of qubes.OpenInVM and the line of qubes.OpenURL.
 * Pure. Source: doc/protocol/services.md, OpenInVM.
 */

#define OPEN_NAME_LEN  256 /* bytes of the field; protocol */
#define OPEN_VIEW_ONLY "view-only-"
#define OPEN_URL_MAX   8192 /* bytes of a line; chosen */

struct open_name {
	char name
	        [OPEN_NAME_LEN]; /* of [A-Za-z0-9._+@-], not "", "." or "..": a file in a folder of ours */
	bool view_only;
};

/**
 * open_name_decode() - the field
 * @field:  hostile; OPEN_NAME_LEN bytes; the last one counts as NUL
 * Bytes that a name may not have become '_'; errors: 0; -1: a '/' in it, or no name.
 * Test:    tests/unit/proto/services/open.c, fuzz/open.c
 */
int open_name_decode(const char field[OPEN_NAME_LEN], struct open_name *out) MUST_CHECK;

/**
 * open_name_encode() - a file's name for another qube, padded with NULs
 * @path:  its last component is used, of a long one the end
 */
void open_name_encode(const char *path, bool view_only, char field[OPEN_NAME_LEN]);

/** open_url_legal() - http://, https:// or ftp://, then printable ASCII without blanks */
bool open_url_legal(const char *line, size_t len);

/** open_url_like() - SCHEME:// of any kind: what a user means as an address, not as a file */
bool open_url_like(const char *text);

#endif
