/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_STATS_H
#define SERVICES_ADMIN_STATS_H

#include "services/admin/call.h"

/* admin.vm.Stats. */

void method_stats(struct call *c);

#endif
