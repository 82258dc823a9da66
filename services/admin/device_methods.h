/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICE_METHODS_H
#define SERVICES_ADMIN_DEVICE_METHODS_H

#include "services/admin/call.h"

/* admin.vm.device.*. */

void method_device_assign(struct call *c);
void method_device_assigned(struct call *c);
void method_device_attach(struct call *c);
void method_device_attached(struct call *c);
void method_device_available(struct call *c);
void method_device_detach(struct call *c);
void method_device_set_assignment(struct call *c);
void method_device_unassign(struct call *c);
void method_denied_add(struct call *c);
void method_denied_list(struct call *c);
void method_denied_remove(struct call *c);

#endif
