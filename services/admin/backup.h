/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_BACKUP_H
#define SERVICES_ADMIN_BACKUP_H

#include "lib/loop/loop.h"
#include "services/admin/call.h"

/* admin.backup.*: what is in a backup is decided here; profiles are read, and archives made, by processes
 * of skerry-backup (proto/backup.h). */

/** backup_open() - before the rights are dropped: looks for dom0's home; @run: /run/qubes, held open */
void backup_open(struct loop *loop, int run);

void method_backup_cancel(struct call *c);
void method_backup_execute(struct call *c);
void method_backup_info(struct call *c);
/* The same with the profile as payload, for dom0's own commands. */
void method_backup_execute_given(struct call *c);
void method_backup_info_given(struct call *c);

#endif
