/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_DEADLINE_H
#define LIB_BASE_DEADLINE_H

#include <stdint.h>

#include "lib/base/compat.h"

#ifndef SKERRY_TEST_LIMITS
#define SKERRY_TEST_LIMITS 0
#endif

/**
 * deadline_ms() - a limit (of proto/limits.h, or of a program in a qube), as this build keeps it
 * In builds with sanitizers and with -Dattack=true it is divided by $SKERRY_TEST_LIMIT_DIVISOR, so that
 * a test can see every deadline pass; no other build reads that variable.
 */
#if SKERRY_TEST_LIMITS
uint64_t deadline_ms(uint64_t limit_ms);
#else
static inline uint64_t deadline_ms(uint64_t limit_ms)
{
	return limit_ms;
}
#endif

#endif
