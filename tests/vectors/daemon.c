/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/vectors/vectors.h"

/* Cases of bytes on the service's sockets, replayed through the service process. */

static enum outcome elsewhere(struct vector *v)
{
	(void)snprintf(v->why, sizeof(v->why), "replayed by the service's own tests");
	return SKIPPED;
}

enum outcome vector_daemon(struct vector *v)
{
	return elsewhere(v);
}

enum outcome vector_evalsimple(struct vector *v)
{
	return elsewhere(v);
}
