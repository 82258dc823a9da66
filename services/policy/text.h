/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_TEXT_H
#define SERVICES_POLICY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compat.h"

/* Bytes of a policy file: encoding, lines, words. Pure. Source: doc/protocol/policy.md, 2.3. */

/* A piece of text, borrowed; may hold any byte. */
struct slice {
	const char *p;
	size_t len;
};

/* The rest of a file that is read line by line. */
struct text_lines {
	const char *p;
	const char *end;
	uint32_t line; /* number of the line given last */
};

static inline bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/** text_utf8() - whether all bytes are strict UTF-8: no overlong form, no surrogate, nothing cut */
bool text_utf8(const char *p, size_t len);

/** text_space() - bytes of the white space character at p; 0: there is none */
size_t text_space(const char *p, const char *end);

/** text_line() - the next line without its end; false after the last */
bool text_line(struct text_lines *lines, struct slice *ret_line);

/** text_trim() - white space removed at both ends */
struct slice text_trim(struct slice s);

/** text_word() - the next word of *rest, which is moved behind it; false: no more */
bool text_word(struct slice *rest, struct slice *ret_word);

/** text_columns() - characters in UTF-8 text of len bytes */
uint32_t text_columns(const char *p, size_t len);

#endif
