/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_STATS_H
#define SERVICES_ADMIN_STATS_H

#include "services/admin/call.h"

/* admin.vm.Stats, and the figures that admin.vm.CurrentState answers from. */

void method_stats(struct call *c);

/** stats_start() - figures are asked for every stats_interval seconds while qubes run */
void stats_start(void);

#endif
