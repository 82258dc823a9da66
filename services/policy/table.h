/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_TABLE_H
#define SERVICES_POLICY_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Memory that is freed at once, texts to small numbers, and numbers to numbers. Everything is
 * filled while loading and only read afterwards. { 0 } is an empty object of each.
 */

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t left; /* bytes free at the end of the first block */
};

void arena_fini(struct arena *arena);
/** arena_string() - a copy with a NUL behind it; NULL: no memory */
char *arena_string(struct arena *arena, const char *text, size_t len) MUST_CHECK;

struct name {
	const char *text; /* in the arena */
	uint32_t len;
	uint32_t hash;
};

/* Each distinct text once, numbered from 0. */
struct names {
	struct arena arena;
	struct name *list;
	uint32_t *slots; /* number + 1; 0: free */
	uint32_t n;
	uint32_t room;
	uint32_t mask; /* slots - 1, a power of two; 0: none yet */
};

void names_fini(struct names *names);
/** names_find() - its number, or NO_ID */
uint32_t names_find(const struct names *names, const char *text, size_t len);
/** names_add() - its number, old or new; NO_ID: no memory */
uint32_t names_add(struct names *names, const char *text, size_t len) MUST_CHECK;

/* Pairs of numbers to a number. */
struct pairs {
	uint64_t *keys; /* ~0: free */
	uint32_t *values;
	uint32_t n;
	uint32_t mask;
};

void pairs_fini(struct pairs *pairs);
/** pairs_get() - the value, or NO_ID */
uint32_t pairs_get(const struct pairs *pairs, uint32_t a, uint32_t b);
/** pairs_add() - the old value if there is one, else value is stored and returned; NO_ID: no memory.
 *  a must not be NO_ID. */
uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t value) MUST_CHECK;

/** grow() - room for one more in an array: doubles *room; 0, or -1 with errno ENOMEM */
int grow(void **array, uint32_t *room, uint32_t n, size_t size) MUST_CHECK;

#endif
