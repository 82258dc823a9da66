/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_SKERRY_SEED_H
#define TOOLS_SKERRY_SEED_H

#include <stddef.h>

/**
 * seed_system() - dom0's services and the default policy below this user's prefix, as far as they are not there
 *
 * They come from the installation that the running program belongs to; without one nothing is done.
 * Errors: NULL, or the path that could not be made, with errno; what was made so far stays and does no harm.
 */
const char *seed_system(void);

#endif
