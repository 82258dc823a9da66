/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_STORE_H
#define SERVICES_POLICY_STORE_H

#include <stddef.h>

#include "lib/base/compat.h"

/* Policy files being changed: never half written, one writer at a time. */

/** store_lock() - exclusive, until the descriptor (given) is closed; -1 with errno */
int store_lock(const char *dir) MUST_CHECK;

/**
 * store_replace() - a file's new bytes, all or none, on disk when it returns
 * @dir:   absolute; locked by the caller
 * @name:  in dir
 *
 * The temporary name begins with a dot, so that a load meanwhile does not see it; it is removed if
 * anything fails. Mode 0664, group qubes if there is one and it may be given.
 * Errors: 0, or -1 with errno; the old file is then as it was.
 */
int store_replace(const char *dir, const char *name, const void *data, size_t len) MUST_CHECK;

/** store_remove() - unlink, on disk when it returns; 0, or -1 with errno */
int store_remove(const char *dir, const char *name) MUST_CHECK;

#endif
