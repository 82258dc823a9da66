/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_CHECK_H
#define LIB_BASE_CHECK_H

#include <assert.h>
#include <stdlib.h>

/*
 * CHECK(x): compiled into every build; aborts. Only for what would break isolation if it were
 * false, never for anything that a qube, a peer or the system can cause: that is an error path.
 */
#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))

__attribute__((noreturn, cold)) void check_failed(const char *what, const char *file, int line);

#endif
