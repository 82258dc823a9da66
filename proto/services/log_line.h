/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_LOG_LINE_H
#define PROTO_SERVICES_LOG_LINE_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * A line of another qube's log (qubes.Log). Pure. Source: doc/protocol/services.md, Log.
 */

#define LOG_LINE_MAX_IN  4096                      /* bytes that are taken of a line; protocol */
#define LOG_LINE_MAX_OUT (LOG_LINE_MAX_IN * 4 + 8) /* each byte may become \xNN */
#define LOG_SEVERITY     6                         /* of a line that names none: information */

/**
 * log_line_clean() - a line as it is kept
 * @line:   hostile; without its end; longer ones are cut, with "..." behind
 * @out:    LOG_LINE_MAX_OUT bytes; NUL-terminated
 * @ret_severity:  of "<N>" at its start, modulo 8; else LOG_SEVERITY
 * Returns the bytes written; 0: there is nothing to keep.
 * Test:    tests/unit/proto/services/log_line.c, fuzz/log_line.c
 */
size_t log_line_clean(const char *line, size_t len, char *out, int *ret_severity);

#endif
