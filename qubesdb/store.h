/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBESDB_STORE_H
#define QUBESDB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The entries of one qube's QubesDB, in the order of their paths. Look-ups are binary searches; a
 * prefix is a range. What one store may hold is limited (proto/limits.h), for the qube may write.
 */
struct store_entry {
	uint32_t len;  /* bytes of the value */
	char *value;   /* no NUL inside; one follows it */
	char path[64]; /* qubesdb_key_ok() */
};

struct store {
	struct store_entry **entries; /* owned; sorted by path as strcmp() does */
	size_t n, max;
	size_t bytes; /* charged: values and what an entry costs */
};

void entries_fini(struct store *store);

/** entries_find() - NULL: no such entry */
const struct store_entry *entries_find(const struct store *store, const char *path);

/**
 * entries_write() - set or replace
 * @path:  qubesdb_key_ok(); @value: no NUL inside
 * Errors: 0; -1 with errno ENOSPC (the store is full) or ENOMEM; the store is as before then.
 */
int entries_write(struct store *store, const char *path, const void *value, size_t len) MUST_CHECK;

/** entries_remove() - whether there was anything: one entry, or all below a path that ends in a slash */
bool entries_remove(struct store *store, const char *path);

/** entries_range() - the entries whose path starts with prefix, as a string: [*ret_from, *ret_to) */
void entries_range(const struct store *store, const char *prefix, size_t *ret_from, size_t *ret_to);

#endif
