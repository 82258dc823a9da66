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
#define PLAN_PAIRS_MAX 5000U

/* A device that is to be given to the qube. */
struct plan_device {
	char *class, *backend, *port, *identity, *mode; /* owned */
	struct pairs options;
};

enum plan_seen {
	SEEN_PRIVATE = 1 << 0,
	SEEN_FIREWALL = 1 << 1,
	SEEN_NOTES = 1 << 2,
	SEEN_HOME = 1 << 3,
};

struct plan_qube {
	char class[32];
	char path[64]; /* "vm7/", what its files begin with; of dom0 "dom0-home/USER" */
	bool content;  /* it was saved */
	struct pairs properties, features, tags;
	struct pairs pools;          /* of root and private */
	struct pairs revisions;      /* to keep, of the same */
	struct plan_device *devices; /* owned */
	size_t n_devices;
	/* Of the restore. */
	char name[64]; /* as it is to be called here; "" : left out */
	bool made, failed;
	unsigned int seen; /* enum plan_seen */
};

struct plan {
	struct plan_qube *list; /* owned */
	size_t n;
	struct pairs labels; /* value: 0xRRGGBB */
};

/** plan_read() - 0, or -1: not a store file */
int plan_read(struct plan *p, const char *data, size_t len) MUST_CHECK;
void plan_free(struct plan *p);

/** plan_name() - as a qube was called; never NULL */
const char *plan_name(const struct plan_qube *q);

/** plan_expected() - enum plan_seen of what the archive must have of a qube that was saved */
unsigned int plan_expected(const struct plan_qube *q);

/** plan_firewall() - rules of a firewall.xml as the Admin API takes them; to be freed; NULL: it is none */
char *plan_firewall(const char *data, size_t len);

/** pairs_get() - NULL: none of this name */
const char *pairs_get(const struct pairs *p, const char *name);

#endif
