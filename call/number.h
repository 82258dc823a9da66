/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_NUMBER_H
#define CALL_NUMBER_H

#include "lib/base/compat.h"

/**
 * number_parse() - an option's number in C integer syntax: decimal, 0x… or 0…, an optional sign
 * @text:  NUL-terminated; the whole of it is the number, no blanks
 * @min, @max: inclusive bounds
 *
 * Errors: 0, or -1: not a number, or out of bounds; *ret_value is untouched then.
 * Test:   tests/unit/call/number.c
 */
int number_parse(const char *text, long min, long max, long *ret_value) MUST_CHECK;

#endif
