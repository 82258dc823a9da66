/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.backup.*: the service neither reads profiles nor runs a backup, so none can be running. Backups are
 * made by qvm-backup, which says what it takes (doc/deviations.md).
 */
#include "services/admin/backup.h"

#include <string.h>

static bool profile_ok(struct call *c)
{
	if (!strchr(c->arg, '/'))
		return true;
	call_refuse(c, E_PROTOCOL, "Backup profile ID must not contain forward slash character");
	return false;
}

void method_backup_cancel(struct call *c)
{
	if (profile_ok(c))
		call_refuse(c, E_QUBES, "Backup operation not running");
}

void method_backup_execute(struct call *c)
{
	if (profile_ok(c))
		call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_backup_info(struct call *c)
{
	if (profile_ok(c))
		call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
