/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/load_internal.h"

/* Directives: other files in place of one line. Source: doc/protocol/policy.md, 4 and 6. */

static const struct slice none = {NULL, 0};

static int fault_plain(struct load *load, enum fault_kind kind, const char *file, int error)
{
	*load->fault = (struct policy_fault){.kind = kind, .error = error};
	(void)snprintf(load->fault->file, sizeof(load->fault->file), "%s", file);
	(void)snprintf(load->fault->text, sizeof(load->fault->text), "cannot read: %s",
	               strerror(error));
	return -1;
}

/* The real path of what a directive names (given), if it is of that kind. */
static int resolve_path(struct parse_at *at, struct slice path, enum file_kind wanted,
                        char **ret_real, struct line_fault *what)
{
	const struct policy_files *files = at->load->files;
	char *full = load_join(at->base, path.p, path.len);
	enum file_kind kind = FILE_MISSING;
	char *real = NULL;
	int r;

	if (!full)
		return fault_plain(at->load, FAULT_MEMORY, "", ENOMEM);
	r = memchr(path.p, '\0', path.len) ? 0 : files->resolve(files->ctx, full, &real, &kind);
	free(full);
	if (r)
		return fault_plain(at->load, FAULT_IO, at->path, errno);
	if (kind != wanted) {
		free(real);
		what->code =
		        wanted == FILE_DIRECTORY ? CODE_INCLUDE_NOT_DIR : CODE_INCLUDE_NOT_FILE;
		return -1;
	}
	*ret_real = real;
	return 0;
}

/* The cure of a cycle is in the line that closes it. */
static void place_fault(const struct parse_at *at, const struct parsed_line *line)
{
	struct policy_fault *fault = at->load->fault;

	(void)snprintf(fault->file, sizeof(fault->file), "%s", at->path);
	fault->line = at->line;
	fault->length = text_columns(line->path.p, line->path.len);
	fault->column = text_columns(at->text.p, (size_t)(line->path.p - at->text.p)) + 1;
}

static int include_file(struct parse_at *at, const struct parsed_line *line, struct slice service,
                        struct slice argument, struct line_fault *what)
{
	char *real;
	int r;

	if (resolve_path(at, line->path, FILE_REGULAR, &real, what))
		return -1;
	r = load_file(at->load, real, real, at->base, service, argument);
	free(real);
	if (r && at->load->fault->kind == FAULT_RECURSION && at->load->fault->line == 0)
		place_fault(at, line);
	return r;
}

static int include_dir(struct parse_at *at, const struct parsed_line *line, struct line_fault *what)
{
	struct entries entries = {0};
	char *real;
	int r;

	if (resolve_path(at, line->path, FILE_DIRECTORY, &real, what))
		return -1;
	r = load_list_policy(at->load, real, &entries);
	for (uint32_t i = 0; i < entries.n && r == 0; i++) {
		r = load_entry(at->load, &entries.list[i], at->base, none, none);
		if (r)
			r = load_settle(at->load);
	}
	entries_fini(&entries);
	free(real);
	return r;
}

static bool legacy_name(const char *name)
{
	static const char *const left[] = {".rpmsave", ".rpmnew", ".swp"};
	size_t len = strlen(name);

	if (name[0] == '.')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		size_t n = strlen(left[i]);

		if (len >= n && strcmp(name + len - n, left[i]) == 0)
			return false;
	}
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-._") ==
	       len;
}

static struct slice legacy_service(const char *name)
{
	return (struct slice){name, strcspn(name, "+")};
}

static struct slice legacy_argument(const char *name)
{
	const char *plus = strchr(name, '+');

	return plus ? (struct slice){plus, strlen(plus)} : (struct slice){"*", 1};
}

/* Services by byte order; within one, arguments by byte order with * last. */
static int compare_legacy(const void *a, const void *b)
{
	const char *x = ((const struct entry *)a)->name;
	const char *y = ((const struct entry *)b)->name;
	struct slice sx = legacy_service(x);
	struct slice sy = legacy_service(y);
	int r = memcmp(sx.p, sy.p, MIN(sx.len, sy.len));

	if (r != 0)
		return r;
	if (sx.len != sy.len)
		return sx.len < sy.len ? -1 : 1;
	if (!strchr(x, '+') || !strchr(y, '+'))
		return (strchr(x, '+') == NULL) - (strchr(y, '+') == NULL);
	return strcmp(x, y);
}

static int list_legacy(struct load *load, struct entries *entries)
{
	const struct policy_files *files = load->files;
	char *names;
	int r = 0;

	if (files->list(files->ctx, load->legacy_dir, &names))
		return fault_plain(load, FAULT_IO, load->legacy_dir, errno);
	for (const char *name = names; *name && r == 0; name += strlen(name) + 1) {
		char *path;
		char *real = NULL;
		enum file_kind kind = FILE_MISSING;

		if (!legacy_name(name))
			continue;
		path = load_join(load->legacy_dir, name, strlen(name));
		if (!path || files->resolve(files->ctx, path, &real, &kind))
			r = fault_plain(load, FAULT_IO, load->legacy_dir, errno);
		free(path);
		free(real);
		if (r == 0 && kind == FILE_REGULAR)
			r = load_add_entry(load, entries, load->legacy_dir, name);
	}
	free(names);
	return r;
}

/* What 4.0 refused without saying so: the file alone decides for its argument. */
static int close_argument(struct load *load, const char *path, const char *name)
{
	static const struct parsed_token targets[] = {
	        {.text = {"@anyvm", 6}, .kind = TOKEN_ANYVM},
	        {.text = {"@adminvm", 8}, .kind = TOKEN_ADMINVM},
	};

	uint32_t file = policy_add_file(load->policy, path);

	if (file == NO_ID)
		return fault_plain(load, FAULT_MEMORY, "", ENOMEM);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct parsed_line line = {
		        .kind = LINE_RULE,
		        .service = legacy_service(name),
		        .argument = legacy_argument(name),
		        .source = targets[0],
		        .target = targets[i],
		        .action = RULE_DENY,
		        .notify = true,
		        .autostart = true,
		};

		if (policy_add_rule(load->policy, file, 0, &line))
			return fault_plain(load, errno == E2BIG ? FAULT_LIMIT : FAULT_MEMORY, "",
			                   errno);
	}
	return 0;
}

static int close_legacy(struct load *load, const struct entry *entry)
{
	char *path = load_join(entry->dir, entry->name, strlen(entry->name));
	int r;

	if (!path)
		return fault_plain(load, FAULT_MEMORY, "", ENOMEM);
	r = close_argument(load, path, entry->name);
	free(path);
	return r;
}

static int include_legacy(struct load *load)
{
	struct entries entries = {0};
	int r = list_legacy(load, &entries);

	if (r == 0 && entries.n > 0)
		qsort(entries.list, entries.n, sizeof(*entries.list), compare_legacy);
	for (uint32_t i = 0; i < entries.n && r == 0; i++) {
		const struct entry *entry = &entries.list[i];

		r = load_entry(load, entry, load->legacy_dir, legacy_service(entry->name),
		               legacy_argument(entry->name));
		if (r)
			r = load_settle(load);
		if (r == 0 && strchr(entry->name, '+'))
			r = close_legacy(load, entry);
	}
	entries_fini(&entries);
	return r;
}

int load_directive(struct parse_at *at, const struct parsed_line *line, struct line_fault *what)
{
	if (line->kind == LINE_INCLUDE)
		return include_file(at, line, at->service, at->argument, what);
	if (line->kind == LINE_INCLUDE_SERVICE)
		return include_file(at, line, line->service, line->argument, what);
	if (line->kind == LINE_INCLUDE_DIR)
		return include_dir(at, line, what);
	return include_legacy(at->load);
}
