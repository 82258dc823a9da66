/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_ICONS_H
#define QUBE_SERVICES_ICONS_H

#include <limits.h>

#include "lib/base/compat.h"

/**
 * icons_find() - the file of an icon of this qube's themes
 * @name:  a name without folders, or an absolute path; may come from another qube
 *
 * Drawn ones come before pixels, large before small, the themes' before what lies in pixmaps.
 * Errors: 0; -1: there is none.
 */
int icons_find(const char *name, char path[PATH_MAX]) MUST_CHECK;

#endif
