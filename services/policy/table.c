/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/policy.h"

/*
 * Open addressing, at most half full. What is stored is chosen by policy files and the admin
 * service, both trusted; a caller's text is only ever looked up, so nobody can fill a chain.
 */

#define ARENA_BLOCK 65536U /* bytes; chosen */

struct arena_block {
	struct arena_block *next;
	size_t size;
	char bytes[];
};

void arena_fini(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	arena->left = 0;
}

char *arena_string(struct arena *arena, const char *text, size_t len)
{
	struct arena_block *block = arena->blocks;
	char *out;

	if (arena->left < len + 1) {
		/* Small tables stay small: the first block is a sixteenth. */
		size_t size = MAX(block ? ARENA_BLOCK : ARENA_BLOCK / 16, len + 1);

		block = malloc(sizeof(*block) + size);
		if (!block)
			return NULL;
		block->size = size;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->left = size;
	}
	out = block->bytes + block->size - arena->left;
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
	arena->left -= len + 1;
	return out;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15U;
	return x ^ x >> 29;
}

static uint32_t hash_text(const char *text, size_t len)
{
	uint64_t h = len * 0xff51afd7ed558ccdU;

	while (len >= 8) {
		uint64_t word;

		memcpy(&word, text, 8);
		h = mix(h ^ word);
		text += 8;
		len -= 8;
	}
	for (size_t i = 0; i < len; i++)
		h = h * 31 + (uint8_t)text[i];
	return (uint32_t)(mix(h) >> 8);
}

void names_fini(struct names *names)
{
	arena_fini(&names->arena);
	free(names->list);
	free(names->slots);
	*names = (struct names){0};
}

/* The slot that holds the text, or the free one where it belongs. */
static uint32_t names_slot(const struct names *names, const char *text, size_t len, uint32_t hash)
{
	uint32_t i = hash & names->mask;

	for (;; i = (i + 1) & names->mask) {
		const struct name *name;

		if (names->slots[i] == 0)
			return i;
		name = &names->list[names->slots[i] - 1];
		if (name->hash == hash && name->len == len && memcmp(name->text, text, len) == 0)
			return i;
	}
}

uint32_t names_find(const struct names *names, const char *text, size_t len)
{
	uint32_t slot;

	if (names->n == 0)
		return NO_ID;
	slot = names_slot(names, text, len, hash_text(text, len));
	return names->slots[slot] - 1;
}

static int names_rehash(struct names *names)
{
	uint32_t size = names->mask ? (names->mask + 1) * 2 : 32;
	uint32_t *slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -1;
	free(names->slots);
	names->slots = slots;
	names->mask = size - 1;
	for (uint32_t id = 0; id < names->n; id++) {
		uint32_t i = names->list[id].hash & names->mask;

		while (slots[i] != 0)
			i = (i + 1) & names->mask;
		slots[i] = id + 1;
	}
	return 0;
}

int grow(void **array, uint32_t *room, uint32_t n, size_t size)
{
	uint32_t more = *room ? *room * 2 : 16;
	void *bigger;

	if (n < *room)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return -1;
	*array = bigger;
	*room = more;
	return 0;
}

uint32_t names_add(struct names *names, const char *text, size_t len)
{
	uint32_t hash = hash_text(text, len);
	uint32_t slot;
	char *copy;

	if ((names->mask == 0 || names->n >= names->mask / 2) && names_rehash(names))
		return NO_ID;
	slot = names_slot(names, text, len, hash);
	if (names->slots[slot] != 0)
		return names->slots[slot] - 1;
	if (grow((void **)&names->list, &names->room, names->n, sizeof(*names->list)))
		return NO_ID;
	copy = arena_string(&names->arena, text, len);
	if (!copy)
		return NO_ID;
	names->list[names->n] = (struct name){copy, (uint32_t)len, hash};
	names->slots[slot] = ++names->n;
	return names->n - 1;
}

void pairs_fini(struct pairs *pairs)
{
	free(pairs->keys);
	free(pairs->values);
	*pairs = (struct pairs){0};
}

static uint32_t pairs_slot(const struct pairs *pairs, uint64_t key)
{
	uint32_t i = (uint32_t)(mix(key) >> 8) & pairs->mask;

	while (pairs->keys[i] != UINT64_MAX && pairs->keys[i] != key)
		i = (i + 1) & pairs->mask;
	return i;
}

uint32_t pairs_get(const struct pairs *pairs, uint32_t a, uint32_t b)
{
	uint64_t key = (uint64_t)a << 32 | b;
	uint32_t i;

	if (pairs->n == 0)
		return NO_ID;
	i = pairs_slot(pairs, key);
	return pairs->keys[i] == key ? pairs->values[i] : NO_ID;
}

static int pairs_rehash(struct pairs *pairs)
{
	struct pairs bigger = {.mask = pairs->mask ? pairs->mask * 2 + 1 : 31, .n = pairs->n};
	struct pairs old;
	size_t size = (size_t)bigger.mask + 1;

	bigger.keys = malloc(size * sizeof(*bigger.keys));
	bigger.values = malloc(size * sizeof(*bigger.values));
	if (!bigger.keys || !bigger.values) {
		pairs_fini(&bigger);
		return -1;
	}
	memset(bigger.keys, 0xff, size * sizeof(*bigger.keys));
	for (size_t i = 0; pairs->keys && i <= pairs->mask; i++) {
		uint32_t slot;

		if (pairs->keys[i] == UINT64_MAX)
			continue;
		slot = pairs_slot(&bigger, pairs->keys[i]);
		bigger.keys[slot] = pairs->keys[i];
		bigger.values[slot] = pairs->values[i];
	}
	old = *pairs;
	*pairs = bigger;
	pairs_fini(&old);
	return 0;
}

uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t value)
{
	uint64_t key = (uint64_t)a << 32 | b;
	uint32_t i;

	if ((pairs->mask == 0 || pairs->n >= pairs->mask / 2) && pairs_rehash(pairs))
		return NO_ID;
	i = pairs_slot(pairs, key);
	if (pairs->keys[i] == key)
		return pairs->values[i];
	pairs->keys[i] = key;
	pairs->values[i] = value;
	pairs->n++;
	return value;
}
