/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-device CLASS list: a line for each device, with those who use it. */
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/device.h"

struct line {
	struct device device;
	struct text_list users; /* "vault (attached: read-only=yes)" */
};

struct listing {
	const struct device_list_options *options;
	struct line *lines;
	size_t n, room;
};

static struct line *line_add(struct listing *listing, const struct device *device)
{
	if (listing->n == listing->room) {
		listing->room = listing->room ? listing->room * 2 : 32;
		listing->lines = arena_grow(listing->lines, listing->n * sizeof(*listing->lines),
		                            listing->room * sizeof(*listing->lines));
	}
	listing->lines[listing->n] = (struct line){.device = *device};
	return &listing->lines[listing->n++];
}

static struct line *line_find(struct listing *listing, const struct device *device, bool by_id)
{
	for (size_t i = 0; i < listing->n; i++) {
		const struct device *have = &listing->lines[i].device;

		if (strcmp(have->backend, device->backend) == 0 &&
		    strcmp(have->port, device->port) == 0 &&
		    (!by_id || strcmp(have->id, device->id) == 0))
			return &listing->lines[i];
	}
	return NULL;
}

/* "vault (attached: read-only=yes)"; an assignment that is not attached has a star. */
static const char *user_text(const char *qube, const char *how, bool star,
                             const struct device *device)
{
	const char *options = text_list_join(&device->options, ", ");

	return arena_printf("%s%s (%s%s%s)", star ? "*" : "", qube, how, *options ? ": " : "",
	                    options);
}

static void add_available(struct listing *listing, const struct devices *devices)
{
	for (size_t i = 0; i < devices->n; i++)
		if (!line_find(listing, &devices->items[i], true))
			(void)line_add(listing, &devices->items[i]);
}

static void add_user(struct listing *listing, const struct device *device, const char *text,
                     bool by_id)
{
	struct line *line = line_find(listing, device, by_id);

	if (!line)
		line = line_add(listing, device);
	text_list_add(&line->users, text);
}

/* What is attached to a qube; its backends are asked for what these devices are. */
static void load_attached(const struct args_program *program, struct listing *listing,
                          const struct qube *qube)
{
	struct devices attached =
	        devices_load(listing->options->class, "Attached", qube->name, NULL);

	if (attached.reply.error)
		fail_reply(program, &attached.reply);
	for (size_t i = 0; i < attached.n; i++) {
		const struct device *device = &attached.items[i];
		struct devices backend =
		        devices_load(listing->options->class, "Available", device->backend, NULL);
		const struct device *known = device_find(&backend, device->port);

		add_user(listing, known ? known : device,
		         user_text(qube->name, "attached", false, device), true);
	}
}

static bool is_attached_to(const struct line *line, const char *qube)
{
	const char *begin = arena_printf("%s (attached", qube);

	for (size_t i = 0; i < line->users.n; i++)
		if (strncmp(line->users.items[i], begin, strlen(begin)) == 0)
			return true;
	return false;
}

static void load_assigned(const struct args_program *program, struct listing *listing,
                          const struct qube *qube)
{
	struct devices assigned =
	        devices_load(listing->options->class, "Assigned", qube->name, NULL);

	if (assigned.reply.error)
		fail_reply(program, &assigned.reply);
	for (size_t i = 0; i < assigned.n; i++) {
		const struct device *device = &assigned.items[i];
		struct line *line = line_find(listing, device, true);

		if (!line || !is_attached_to(line, qube->name))
			add_user(listing, device,
			         user_text(qube->name, device->mode ? device->mode : "assigned",
			                   true, device),
			         true);
	}
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	int r = strcmp(left->device.backend, right->device.backend);

	if (r == 0)
		r = strcmp(left->device.port, right->device.port);
	if (r == 0) /* what is there before what may be there */
		r = (strcmp(left->device.id, "*") == 0) - (strcmp(right->device.id, "*") == 0);
	return r ? r : strcmp(left->device.id, right->device.id);
}

static void print(const struct listing *listing)
{
	static const char *const keys[] = {"device", "description", "users"};
	static const char *const keys_sbdf[] = {"device", "sbdf", "description", "users"};
	struct table table = listing->options->sbdf ? table_new(4, keys_sbdf) : table_new(3, keys);

	for (size_t i = 0; i < listing->n; i++) {
		struct line *line = &listing->lines[i];
		const char **cells = table_row(&table);

		*cells++ = arena_printf("%s:%s", line->device.backend, line->device.port);
		if (listing->options->sbdf)
			*cells++ = line->device.sbdf ? line->device.sbdf : "unknown";
		*cells++ = device_description(&line->device);
		*cells++ = text_list_join(&line->users, ", ");
	}
	table_print(&table);
}

int device_list(const struct args_program *program, const struct qubes *qubes,
                const struct device_list_options *options)
{
	struct listing listing = {.options = options};
	size_t n = options->only ? options->only->n : qubes->n;

	for (size_t i = 0; i < n; i++) {
		const struct qube *qube =
		        options->only ? options->only->items[i] : &qubes->items[i];
		struct devices devices;

		load_attached(program, &listing, qube);
		devices = devices_load(options->class, "Available", qube->name, NULL);
		if (devices.reply.error)
			fail_reply(program, &devices.reply);
		add_available(&listing, &devices);
	}
	for (size_t i = 0; options->assignments && i < n; i++)
		load_assigned(program, &listing,
		              options->only ? options->only->items[i] : &qubes->items[i]);
	if (listing.n)
		qsort(listing.lines, listing.n, sizeof(*listing.lines), compare_lines);
	print(&listing);
	return 0;
}
