/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_NEED_ROOT_H
#define TOOLS_NEED_ROOT_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/paths.h"

/** need_root() - paths_find_root() at the start of a command; ends it with 1 and the cure if it cannot be */
static inline void need_root(const char *program)
{
	if (paths_find_root() == 0)
		return;
	(void)fprintf(stderr, "%s: the name of the system's folder is too long; set SKERRY_ROOT\n",
	              program);
	exit(1);
}

#endif
