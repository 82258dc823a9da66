/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/vectors/vectors.h"

enum outcome vector_admin(struct vector *v)
{
	(void)snprintf(v->why, sizeof(v->why), "no administration program");
	return SKIPPED;
}
