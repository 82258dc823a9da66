/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qubesdb/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "proto/limits.h"

/* What an entry costs beside its value; charged so that empty ones are not free. */
#define ENTRY_COST (sizeof(struct store_entry) + sizeof(struct store_entry *))

static void entry_free(struct store_entry *entry)
{
	free(entry->value);
	free(entry);
}

void entries_fini(struct store *store)
{
	for (size_t i = 0; i < store->n; i++)
		entry_free(store->entries[i]);
	free(store->entries);
	*store = (struct store){0};
}

/* The first entry whose path, cut to len bytes if len is not 0, is not below the given one. */
static size_t first_from(const struct store *store, const char *path, size_t len, bool after)
{
	size_t low = 0, high = store->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *here = store->entries[middle]->path;
		int order = len > 0 ? strncmp(here, path, len) : strcmp(here, path);

		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct store_entry *entries_find(const struct store *store, const char *path)
{
	size_t at = first_from(store, path, 0, false);

	return at < store->n && strcmp(store->entries[at]->path, path) == 0 ? store->entries[at]
	                                                                    : NULL;
}

static int room_for_one(struct store *store)
{
	size_t max = store->max ? store->max * 2 : 64;
	struct store_entry **entries;

	if (store->n < store->max)
		return 0;
	entries = realloc(store->entries, max * sizeof(*entries));
	if (!entries)
		return -1;
	store->entries = entries;
	store->max = max;
	return 0;
}

static char *value_copy(const void *value, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	if (len > 0)
		memcpy(copy, value, len);
	copy[len] = '\0';
	return copy;
}

static int insert(struct store *store, size_t at, const char *path, char *value, size_t len)
{
	struct store_entry *entry;

	if (store->n >= LIMIT_QUBESDB_ENTRIES) {
		errno = ENOSPC;
		return -1;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry || room_for_one(store)) {
		free(entry);
		return -1;
	}
	CHECK(strlen(path) < sizeof(entry->path));
	memcpy(entry->path, path, strlen(path) + 1);
	entry->value = value;
	entry->len = (uint32_t)len;
	memmove(&store->entries[at + 1], &store->entries[at],
	        (store->n - at) * sizeof(store->entries[0]));
	store->entries[at] = entry;
	store->n++;
	store->bytes += ENTRY_COST + len;
	return 0;
}

int entries_write(struct store *store, const char *path, const void *value, size_t len)
{
	size_t at = first_from(store, path, 0, false);
	bool exists = at < store->n && strcmp(store->entries[at]->path, path) == 0;
	size_t freed = exists ? store->entries[at]->len : 0;
	size_t cost = len + (exists ? 0 : ENTRY_COST);
	char *copy;

	if (store->bytes - freed + cost > LIMIT_QUBESDB_BYTES) {
		errno = ENOSPC;
		return -1;
	}
	copy = value_copy(value, len);
	if (!copy)
		return -1;
	if (!exists) {
		if (insert(store, at, path, copy, len) == 0)
			return 0;
		free(copy);
		return -1;
	}
	free(store->entries[at]->value);
	store->entries[at]->value = copy;
	store->entries[at]->len = (uint32_t)len;
	store->bytes = store->bytes - freed + len;
	return 0;
}

void entries_range(const struct store *store, const char *prefix, size_t *ret_from, size_t *ret_to)
{
	size_t len = strlen(prefix);

	*ret_from = len > 0 ? first_from(store, prefix, len, false) : 0;
	*ret_to = len > 0 ? first_from(store, prefix, len, true) : store->n;
}

bool entries_remove(struct store *store, const char *path)
{
	size_t from, to, len = strlen(path);

	if (len == 0)
		return false;
	if (path[len - 1] == '/') {
		entries_range(store, path, &from, &to);
	} else {
		from = first_from(store, path, 0, false);
		to = from < store->n && strcmp(store->entries[from]->path, path) == 0 ? from + 1
		                                                                      : from;
	}
	for (size_t i = from; i < to; i++) {
		store->bytes -= ENTRY_COST + store->entries[i]->len;
		entry_free(store->entries[i]);
	}
	if (to > from)
		memmove(&store->entries[from], &store->entries[to],
		        (store->n - to) * sizeof(store->entries[0]));
	store->n -= to - from;
	return to > from;
}
