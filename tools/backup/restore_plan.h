/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_BACKUP_RESTORE_PLAN_H
#define TOOLS_BACKUP_RESTORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/* What the store file of a backup says of its qubes. It was checked by the passphrase, and is bounded all the same. */

struct pair {
	char *name, *value;
};

struct pairs {
	struct pair *list; /* owned, names and values too */
	size_t n;
};

#define PLAN_QUBES_MAX 10000U
#define PLAN_PAIRS_MAX 1000U

struct plan_qube {
	char class[32];
	char path[64]; /* "vm7/", what its files begin with */
	bool content;  /* it was saved */
	struct pairs properties, features, tags;
	struct pairs pools; /* of root and private */
	/* Of the restore. */
	char name[64]; /* as it is to be called here; "" : left out */
	bool made, failed;
	bool seen[2]; /* root, private */
};

struct plan {
	struct plan_qube *list; /* owned */
	size_t n;
};

/** plan_read() - 0, or -1: not a store file */
int plan_read(struct plan *p, const char *data, size_t len) MUST_CHECK;
void plan_free(struct plan *p);

/** pairs_get() - NULL: none of this name */
const char *pairs_get(const struct pairs *p, const char *name);

#endif
