/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_LIFECYCLE_INTERNAL_H
#define SERVICES_ADMIN_LIFECYCLE_INTERNAL_H

#include "services/admin/model.h"

/* Between lifecycle.c, power.c and suspend.c. */

/** lifecycle_stopped() - the ground says that everything of it is gone */
void lifecycle_stopped(struct qube *q);
/** lifecycle_tell_stopped() - those that wait for it, after the open turn */
void lifecycle_tell_stopped(struct qube *q);
void lifecycle_numbers_changed(struct qube *q);

#endif
