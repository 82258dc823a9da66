/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_UNTRUSTED_NAME_H
#define LIB_UNTRUSTED_NAME_H

#include <stddef.h>

#include "lib/base/compat.h"

/* What is wrong with a name of a qube; the numbers are those of the original's library. */
enum untrusted_qube_name {
	UNTRUSTED_QUBE_NAME_OK = 0,
	UNTRUSTED_QUBE_NAME_EMPTY = -1,
	UNTRUSTED_QUBE_NAME_LONG = -2,     /* more than 31 bytes */
	UNTRUSTED_QUBE_NAME_FIRST = -3,    /* does not begin with a letter */
	UNTRUSTED_QUBE_NAME_LATER = -4,    /* something else than A-Z a-z 0-9 _ . - */
	UNTRUSTED_QUBE_NAME_RESERVED = -6, /* "none", "default", "Domain-0", or ends in "-dm" */
};

/**
 * untrusted_qube_name_check() - may a qube be called so?
 * @untrusted_name:  len bytes of any kind; a NUL among them is refused like any other
 * Pure and total. Errors: enum untrusted_qube_name.
 */
enum untrusted_qube_name untrusted_qube_name_check(const char *untrusted_name, size_t len)
        MUST_CHECK;

#endif
