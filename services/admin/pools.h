/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_POOLS_H
#define SERVICES_ADMIN_POOLS_H

#include "services/admin/call.h"

/* admin.pool.*. */

void method_pool_add(struct call *c);
void method_pool_info(struct call *c);
void method_pool_list(struct call *c);
void method_pool_list_drivers(struct call *c);
void method_pool_remove(struct call *c);
void method_pool_set_ephemeral(struct call *c);
void method_pool_set_revisions(struct call *c);
void method_pool_usage_details(struct call *c);
void method_pool_volume_list(struct call *c);

#endif
