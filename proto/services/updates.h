/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_UPDATES_H
#define PROTO_SERVICES_UPDATES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * What a qube says of its updates (qubes.NotifyUpdates): how many there are, of which dom0 keeps whether
 * there are any; and how files are named that a qube sends for dom0. Pure.
 * Source: doc/protocol/services.md, NotifyUpdates, ReceiveUpdates.
 */

#define UPDATES_COUNT_MAX 64 /* bytes; chosen: a number, and blanks around it */

/**
 * updates_count_parse() - blanks, digits, blanks
 * @data:  hostile
 * @ret_any:  whether the number is not 0
 * Errors: 0; -1: not a number, or longer than UPDATES_COUNT_MAX.
 * Test:   tests/unit/proto/services/updates.c, fuzz/updates.c
 */
int updates_count_parse(const char *data, size_t len, bool *ret_any) MUST_CHECK;

/**
 * updates_package_name_legal() - may a received file have this name?
 * @name:  hostile; a letter or digit, up to 255 of those and of "._+^~-", and ".rpm"
 */
bool updates_package_name_legal(const char *name) MUST_CHECK;

#endif
