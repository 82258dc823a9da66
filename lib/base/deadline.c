/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only in test builds: see the header. */
#include "lib/base/deadline.h"

#include <stdlib.h>

uint64_t deadline_ms(uint64_t limit_ms)
{
	const char *text = getenv("SKERRY_TEST_LIMIT_DIVISOR");
	unsigned long divisor = text ? strtoul(text, NULL, 10) : 1;

	return divisor > 1 ? MAX(limit_ms / divisor, 1UL) : limit_ms;
}
