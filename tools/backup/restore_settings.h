/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_BACKUP_RESTORE_SETTINGS_H
#define TOOLS_BACKUP_RESTORE_SETTINGS_H

#include "tools/backup/restore_plan.h"
#include "tools/client/client.h"

/* What a qube of a backup is set to, through the Admin API. What is refused is said, and the rest goes on. */

#define IN_PROGRESS "backup-restore-in-progress"

/** renamed() - a qube as it is called here, if it was restored as another one */
const char *renamed(const struct plan *plan, const char *name);

/** settings_warn() - for an answer that is an error */
void settings_warn(const struct plan_qube *q, const char *what, const struct admin_reply *r);

/** settings_labels() - those that there are not here */
void settings_labels(const struct plan *plan);

/** settings_own() - what names no other qube: once it is made */
void settings_own(const struct plan_qube *q);

/** settings_links() - other qubes that it names, its devices: once all are made */
void settings_links(const struct plan *plan, const struct plan_qube *q);

/** settings_file() - "firewall.xml", "notes.txt" */
void settings_file(const struct plan_qube *q, const char *file, const char *data, size_t len);

#endif
