/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/backup.h"

void method_backup_cancel(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_backup_execute(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_backup_info(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
