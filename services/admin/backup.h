/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_BACKUP_H
#define SERVICES_ADMIN_BACKUP_H

#include "services/admin/call.h"

/* admin.backup.*. */

void method_backup_cancel(struct call *c);
void method_backup_execute(struct call *c);
void method_backup_info(struct call *c);

#endif
