/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_TAP_H
#define TESTS_XEN_TAP_H

#include <stdbool.h>

#include "lib/base/compat.h"

/* Results, to the port that leads out of the machine, or to standard output. */

/** tap_open() - @port: "" or a path */
void tap_open(const char *port);
/** tap_result() - one line; returns good */
bool tap_result(bool good, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** tap_note() - a comment, a measured figure for example */
void tap_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
/** tap_end() - the plan; 0 if all was well */
int tap_end(void);

#endif
