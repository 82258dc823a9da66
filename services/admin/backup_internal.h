/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_BACKUP_INTERNAL_H
#define SERVICES_ADMIN_BACKUP_INTERNAL_H

#include "proto/backup.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"
#include "services/admin/text.h"

struct saved {
	struct qube *q; /* held */
	uint64_t size;  /* bytes that its volumes take */
};

/** backup_select() - by the names of a profile, sorted; false with a fault: there is no such qube */
bool backup_select(const struct backup_profile *p, struct saved **ret_list, size_t *ret_n,
                   struct fault *f) MUST_CHECK;

/** backup_find() - in a list that was selected; NULL: it is not in it */
const struct saved *backup_find(const struct saved *list, size_t n, struct qube *q);

/** backup_table() - what admin.backup.Info answers */
void backup_table(const struct saved *list, size_t n, struct text *out);

#define BACKUP_PARTS 2U /* volumes of a qube that may be in a backup */
/** backup_volume() - the part'th; NULL: it has none that keeps data, or this system has that anyway */
struct volume *backup_volume(const struct qube *q, size_t part);

/** backup_home() - dom0's folder as it is in a backup, "dom0-home/USER"; NULL: it has none.
 *  *ret_path: where it is */
const char *backup_home(const char **ret_path);
void backup_home_find(void);

/** backup_store() - qubes.xml of a backup: all that is stored, and which of it is saved */
void backup_store(const struct saved *list, size_t n, struct text *out);

/** backup_firewall() - firewall.xml of a qube that has rules of its own */
void backup_firewall(const struct qube *q, struct text *out);

#endif
