/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/check.h"

#include <stdio.h>

void check_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
	abort();
}
