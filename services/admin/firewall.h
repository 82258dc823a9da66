/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FIREWALL_H
#define SERVICES_ADMIN_FIREWALL_H

#include "services/admin/call.h"

/* admin.vm.firewall.*. */

void method_firewall_get(struct call *c);
void method_firewall_reload(struct call *c);
void method_firewall_set(struct call *c);

#endif
