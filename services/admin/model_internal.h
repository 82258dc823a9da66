/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_MODEL_INTERNAL_H
#define SERVICES_ADMIN_MODEL_INTERNAL_H

#include "services/admin/model.h"

/* Between model.c, pairs.c, rows.c and rows_system.c. */

#define INDEX_SIZE 4096U /* chains stay short up to QUBES_MAX */

void index_add(struct qube *q);
void index_remove(struct qube *q);
void qube_free(struct qube *q);

/* What row_apply() calls for the rows of rows_system.c: 0 or -1; the old value is added to old. */
int row_label(struct qube *q, const char *name, const char *value, struct text *old);
int row_pool(struct qube *q, const char *name, const char *value, struct text *old);
int row_kept(struct qube *q, const char *name, const char *value, struct text *old);
void pool_row(const struct pool *p, struct text *out);

/** slot_set() - a copy of the value in place of what was there */
void slot_set(char **slot, const char *value);

#endif
