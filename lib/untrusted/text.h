/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_UNTRUSTED_TEXT_H
#define LIB_UNTRUSTED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text from elsewhere that a person is to read: names of files and windows, messages, menu entries.
 * A character may be shown if it is on the allow-list (codepoints.c): letters, digits, punctuation
 * and currency of Latin, Greek, Cyrillic, Han, Hangul, Kana and a few more; no control, nothing that
 * combines with or reverses its neighbours, no symbol that a font may draw in colour.
 *
 * Three answers to a text, all pure, total and without allocation:
 *   untrusted_text_shown()   may it be shown as it is?     for input that is refused otherwise
 *   untrusted_text_clean()   the same with '_' for the rest: dialogues, menus, notifications
 *   untrusted_text_escape()  the same with \xNN for the rest: terminals and logs, nothing is lost
 * escape_text() (lib/base/escape.h) is the last one with ASCII only: the log does that by itself.
 */

/** untrusted_char_shown() - whether a code point is on the allow-list; any number may be asked */
bool untrusted_char_shown(uint32_t code);

/**
 * utf8_decode() - the character at the start of some bytes
 * @untrusted_in:  any bytes
 * @len:           how many there are; 0 is malformed
 * @ret_code:      the code point, if one was there
 *
 * The shortest form only; no surrogate, nothing above 0x10ffff.
 * Returns the bytes that it takes, 1 … 4, or 0: malformed.
 */
size_t utf8_decode(const unsigned char *untrusted_in, size_t len, uint32_t *ret_code);

/** untrusted_text_shown() - at least one character, and all of them may be shown */
bool untrusted_text_shown(const char *untrusted_text, size_t len);

/**
 * untrusted_text_clean() - a text that may be shown
 * @dst:      dst_len bytes of room, NUL-terminated if dst_len > 0
 * @untrusted_text:  NUL-terminated
 *
 * A byte that begins no character, and a character that may not be shown, becomes one '_'. What does not fit is cut
 * off between characters; one of several bytes that would fill dst to the last byte is dropped too.
 * Returns the bytes written with the NUL; 0 if dst_len is 0.
 */
size_t untrusted_text_clean(char *dst, size_t dst_len, const char *untrusted_text);

/**
 * untrusted_text_escape() - a text that may be printed, and from which its bytes can be told
 * @dst:  NUL-terminated if dst_len > 0; 4 bytes for each input byte hold all
 * Returns the bytes written without the NUL; cut between characters.
 */
size_t untrusted_text_escape(char *dst, size_t dst_len, const void *untrusted_text, size_t len);

#endif
