/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-volume list. The requests are the original's, which asks for the same again and again. */
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/volume.h"

struct volume {
	const char *qube, *name, *pool, *id;
	bool revertible;
	size_t number; /* in the order of asking */
};

struct listing {
	struct volume *items;
	size_t n, room;
	struct text_list pools; /* seen */
};

static struct admin_reply info(const struct volume *volume)
{
	return admin_call("admin.vm.volume.Info", volume->name, volume->qube, NULL);
}

static void add(struct listing *listing, const char *qube, const char *name)
{
	if (listing->n == listing->room) {
		listing->room = listing->room ? listing->room * 2 : 64;
		listing->items = arena_grow(listing->items, listing->n * sizeof(*listing->items),
		                            listing->room * sizeof(*listing->items));
	}
	listing->items[listing->n] =
	        (struct volume){.qube = qube, .name = name, .number = listing->n};
	listing->n++;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* Pool, then what it holds there, then whether there is a revision; and the first two again. */
static void load(const struct args_program *program, struct listing *listing, struct volume *volume)
{
	struct admin_reply reply = info(volume), again = info(volume), revisions;

	if (reply.error)
		fail_reply(program, &reply);
	volume->pool = or_empty(lines_field(reply.content, "pool"));
	volume->id = or_empty(lines_field(again.content, "vid"));
	revisions = admin_call("admin.vm.volume.ListSnapshots", volume->name, volume->qube, NULL);
	volume->revertible = *revisions.content != '\0';
	(void)info(volume);
	(void)info(volume);
	if (text_list_has(&listing->pools, volume->pool))
		return;
	text_list_add(&listing->pools, volume->pool);
	(void)info(volume);
}

static int compare_volumes(const void *a, const void *b)
{
	const struct volume *left = a, *right = b;
	int r = strcmp(left->pool, right->pool);

	if (r == 0)
		r = strcmp(left->id, right->id);
	return r ? r : (left->number > right->number) - (left->number < right->number);
}

static bool is_same(const struct volume *a, const struct volume *b)
{
	return strcmp(a->pool, b->pool) == 0 && strcmp(a->id, b->id) == 0;
}

static void row(struct table *table, const struct volume *volume)
{
	const char **cells = table_row(table);

	cells[0] = arena_printf("%s:%s", volume->pool, volume->id);
	cells[1] = volume->qube;
	cells[2] = volume->name;
	cells[3] = volume->revertible ? "Yes" : "No";
}

/* Of those that share one, the last comes first. */
static void print(const struct listing *listing)
{
	static const char *const keys[] = {"volume", "qube", "name", "revert_possible"};
	struct table table = table_new(4, keys);
	const char **cells = table_row(&table);
	size_t end;

	cells[0] = "POOL:VOLUME";
	cells[1] = "VMNAME";
	cells[2] = "VOLUME_NAME";
	cells[3] = "REVERT_POSSIBLE";
	table.heading = true;
	for (size_t i = 0; i < listing->n; i = end) {
		for (end = i + 1; end < listing->n; end++)
			if (!is_same(&listing->items[i], &listing->items[end]))
				break;
		row(&table, &listing->items[end - 1]);
		for (size_t j = i; j + 1 < end; j++)
			row(&table, &listing->items[j]);
	}
	table_print(&table);
}

static void keep_pool(struct listing *listing, const char *pool)
{
	size_t left = 0;

	for (size_t i = 0; i < listing->n; i++)
		if (strcmp(listing->items[i].pool, pool) == 0)
			listing->items[left++] = listing->items[i];
	listing->n = left;
}

int volume_list(const struct args_program *program, const struct qubes *qubes,
                const struct qube_list *only, const char *pool)
{
	size_t n = only ? only->n : qubes->n;
	struct listing listing = {0};

	for (size_t i = 0; i < n; i++) {
		const char *qube = only ? only->items[i]->name : qubes->items[i].name;
		struct text_list names = text_list_lines(
		        call_or_fail(program, "admin.vm.volume.List", NULL, qube, NULL).content);

		for (size_t j = 0; j < names.n; j++)
			add(&listing, qube, names.items[j]);
	}
	for (size_t i = 0; i < listing.n; i++)
		load(program, &listing, &listing.items[i]);
	for (size_t i = 0; i < listing.n; i++) {
		(void)info(&listing.items[i]);
		(void)info(&listing.items[i]);
	}
	if (pool)
		keep_pool(&listing, pool);
	if (listing.n)
		qsort(listing.items, listing.n, sizeof(*listing.items), compare_volumes);
	print(&listing);
	return 0;
}
