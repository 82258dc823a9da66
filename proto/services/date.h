/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_DATE_H
#define PROTO_SERVICES_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "lib/base/compat.h"

/*
 * The answer of qubes.GetDate, and times that dom0 sets: text to seconds. Pure.
 * Source: doc/protocol/services.md, GetDate and SetDateTime.
 */

#define DATE_LEN    26 /* 2026-05-01T10:11:12+00:00 and a newline */
#define DATE_NS_LEN 36 /* 2026-05-01T10:11:12,123456789+00:00 and a newline; no more is read */
#define DATE_FLOOR  "2022-07-10T17:08:31" /* a time must be later; protocol */

enum date_result {
	DATE_OK,
	DATE_E_ASCII,
	DATE_E_LENGTH,
	DATE_E_ZONE,  /* not UTC */
	DATE_E_FORM,  /* digits and separators are not where they belong */
	DATE_E_FLOOR, /* older than DATE_FLOOR */
	DATE_E_VALUE, /* of the right form, and no time that there is: date_parse() only */
};

/**
 * date_check() - whether an answer is one; the original's checks, in its order
 * @data:  hostile; at most DATE_NS_LEN bytes are looked at
 * Errors: DATE_OK: @data has DATE_LEN or DATE_NS_LEN bytes of the right form, later than the floor.
 *         That there is such a day is date_parse()'s to say.
 * Test:   tests/unit/proto/services/date.c, vectors getdate.json, fuzz/date.c
 */
enum date_result date_check(const char *data, size_t len) MUST_CHECK;

/** date_error() - the original's text, without "aborting"; a length is not part of it */
const char *date_error(enum date_result result);

/**
 * date_parse() - YYYY-MM-DDTHH:MM:SS, then optionally [.,] and 1 to 9 digits, then optionally Z, ±HH,
 *                ±HHMM or ±HH:MM; then nothing, or one newline
 * Without a zone it is UTC.
 * Errors: DATE_OK, DATE_E_FORM, DATE_E_VALUE (of years 1970 to 9999).
 */
enum date_result date_parse(const char *data, size_t len, struct timespec *ret_time) MUST_CHECK;

/**
 * date_write() - a time as qubes.GetDate answers
 * @out:  DATE_NS_LEN + 1 bytes
 * Returns the length: DATE_LEN, or DATE_NS_LEN with @ns; 0 if the year has not four digits.
 */
size_t date_write(const struct timespec *time, bool ns, char *out);

#endif
