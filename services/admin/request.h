/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_REQUEST_H
#define SERVICES_ADMIN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"
#include "services/admin/fault.h"

#define REQUEST_MAX 65536U /* bytes of header, NUL and payload; protocol */

/*
 * A request as it came:  METHOD ["+" ARG] SP SRC SP DESTTYPE SP DEST NUL PAYLOAD
 * All texts point into the caller's bytes. Only the form is checked: names, methods and payloads are
 * still untrusted.
 */
struct request {
	const char *untrusted_method;
	const char *untrusted_arg; /* "" without "+" */
	const char *source; /* put there by qrexec or by a program of dom0; a name or uuid:… */
	const char *untrusted_dest; /* name or uuid:… */
	const char *untrusted_payload;
	size_t untrusted_payload_len;
};

enum request_verdict {
	REQUEST_OK,
	REQUEST_CLOSE,   /* not a request: the connection is closed without a byte */
	REQUEST_REFUSED, /* a request that only gets an exception: a header that is not ASCII */
};

/**
 * request_decode() - all bytes of a connection to a request
 * @data:  changed: separators become NULs; data[len] is writable
 *
 * Trust:  every byte is hostile.
 * Source: doc/protocol/admin-api.md, Request.
 * Test:   fuzz/admin_request.c
 */
enum request_verdict request_decode(char *data, size_t len, struct request *out) MUST_CHECK;

/** request_name_check() - is this a name that a qube may have; false with a fault of class @type */
bool request_name_check(const char *name, struct fault *f, const char *type) MUST_CHECK;

/** request_uuid_check() - 36 characters, hexadecimal in lower case */
bool request_uuid_check(const char *uuid) MUST_CHECK;

/** request_number() - a number in a payload; @what begins the texts of its errors
 *  Errors: false with a fault: section 6.3. */
bool request_number(const char *text, size_t len, bool negative, const char *what, long long *ret,
                    struct fault *f) MUST_CHECK;

/** request_bool() - 0 no false off / 1 yes true on in any case: 0 or 1, -1: neither */
int request_bool(const char *text) MUST_CHECK;

/** request_safe() - only characters of the set; empty texts are safe */
bool request_safe(const char *text, const char *set) MUST_CHECK;

#define SET_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SET_DIGITS  "0123456789"

#endif
