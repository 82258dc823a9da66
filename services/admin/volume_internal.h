/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_VOLUME_INTERNAL_H
#define SERVICES_ADMIN_VOLUME_INTERNAL_H

#include "services/admin/call.h"
#include "services/admin/storage_client.h"

/* What the files of the volume methods share. */

/** volume_named() - the volume that the argument names; NULL: refused */
struct volume *volume_named(struct call *c);

/** volume_change() - its row, in the open turn */
void volume_change(struct qube *q, const struct volume *v);

/** volume_halted() - false: refused, for the qube runs */
bool volume_halted(struct call *c);

/** volume_take_size() - the size that the storage service found becomes the configured one */
void volume_take_size(struct call *c, const struct storage_answer *a);

/** volume_bool() - the payload; -1: refused */
int volume_bool(struct call *c);

#endif
