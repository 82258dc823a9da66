/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_BACKUP_COMMON_H
#define TOOLS_BACKUP_COMMON_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/backup/archive.h"
#include "tools/client/client.h"

/* What qvm-backup and qvm-backup-restore share. */

/** complain() - a line for the user on standard error; always 1, an exit status */
int complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/** passphrase_read() - the first line of a file, or asked for on the terminal (@twice: to be sure);
 *  given, to be freed; NULL after complain() */
char *passphrase_read(const char *file, bool twice);

/** show_progress() - for struct backup_archive: on a terminal, at most some times a second */
void show_progress(void *arg, uint64_t done);

/** outer_path() - a path that the Admin API names, where it is on this system; NULL after complain() */
const char *outer_path(const char *path);

#endif
