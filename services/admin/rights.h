/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_RIGHTS_H
#define SERVICES_ADMIN_RIGHTS_H

#include "lib/base/compat.h"

/** rights_drop() - skerry-admin: no file, no program, no new listener; 0 or -1 */
int rights_drop(void) MUST_CHECK;

/**
 * store_rights_drop() - skerry-store: the directory of its file, and two descriptors
 * @ready: -1 for none
 */
int store_rights_drop(const char *dir, int admin, int ready) MUST_CHECK;

#endif
