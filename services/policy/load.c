/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/load_internal.h"

/*
 * Which files are policy, and in which order; what their directives pull in. The first fault ends
 * the load: half a policy is never used. Source: doc/protocol/policy.md, 2.2, 4, 6.2.
 */

static int fault_file(struct load *load, enum fault_kind kind, const char *file, int error,
                      const char *text)
{
	*load->fault = (struct policy_fault){.kind = kind, .error = error};
	(void)snprintf(load->fault->file, sizeof(load->fault->file), "%s", file);
	if (error)
		(void)snprintf(load->fault->text, sizeof(load->fault->text), "%s: %s", text,
		               strerror(error));
	else
		(void)snprintf(load->fault->text, sizeof(load->fault->text), "%s", text);
	return -1;
}

static int fault_memory(struct load *load)
{
	return fault_file(load, FAULT_MEMORY, "", 0, "no memory for the policy");
}

static int fault_line(const struct parse_at *at, struct slice line, const struct line_fault *what)
{
	struct policy_fault *fault = at->load->fault;

	*fault = (struct policy_fault){.kind = FAULT_SYNTAX, .code = what->code, .line = at->line};
	(void)snprintf(fault->file, sizeof(fault->file), "%s", at->path);
	if (what->where.p) {
		fault->column = text_columns(line.p, (size_t)(what->where.p - line.p)) + 1;
		fault->length = MAX(text_columns(what->where.p, what->where.len), 1U);
	}
	fault_explain(what, fault->text, sizeof(fault->text));
	return -1;
}

int load_settle(struct load *load)
{
	if (!load->report || load->fault->kind == FAULT_LIMIT || load->fault->kind == FAULT_MEMORY)
		return -1;
	load->report(load->report_ctx, load->fault);
	*load->fault = (struct policy_fault){0};
	return 0;
}

static bool illegal_name(const char *name)
{
	for (const char *p = name; *p; p++) {
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || *p == '_' ||
		      *p == '.' || *p == '-'))
			return true;
	}
	return false;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t n = strlen(suffix);

	return len >= n && strcmp(name + len - n, suffix) == 0;
}

char *load_join(const char *dir, const char *name, size_t len)
{
	char *path = NULL;

	if (len > 0 && name[0] == '/')
		return strndup(name, len);
	return asprintf(&path, "%s/%.*s", dir, (int)len, name) < 0 ? NULL : path;
}

/* 1: a regular file, 0: something else, -1: fault. */
static int is_regular(struct load *load, const char *dir, const char *name)
{
	char *path = load_join(dir, name, strlen(name));
	char *real = NULL;
	enum file_kind kind;
	int r;

	if (!path)
		return fault_memory(load);
	r = load->files->resolve(load->files->ctx, path, &real, &kind);
	free(real);
	if (r)
		r = fault_file(load, FAULT_IO, path, errno, "cannot look at this file");
	free(path);
	return r ? r : kind == FILE_REGULAR;
}

int load_add_entry(struct load *load, struct entries *entries, const char *dir, const char *name)
{
	if (grow((void **)&entries->list, &entries->room, entries->n, sizeof(*entries->list)))
		return fault_memory(load);
	entries->list[entries->n] = (struct entry){.dir = dir, .name = strdup(name)};
	if (!entries->list[entries->n].name)
		return fault_memory(load);
	entries->n++;
	return 0;
}

void entries_fini(struct entries *entries)
{
	for (uint32_t i = 0; i < entries->n; i++)
		free(entries->list[i].name);
	free(entries->list);
	*entries = (struct entries){0};
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* The policy files of one directory, 2.2 steps 1 and 2, sorted by name. */
int load_list_policy(struct load *load, const char *dir, struct entries *entries)
{
	char *names;
	int r = 0;

	if (load->files->list(load->files->ctx, dir, &names))
		return fault_file(load, FAULT_IO, dir, errno, "cannot read this directory");
	for (const char *name = names; *name && r >= 0; name += strlen(name) + 1) {
		if (name[0] == '.' || !has_suffix(name, ".policy"))
			continue;
		r = is_regular(load, dir, name);
		if (r > 0)
			r = load_add_entry(load, entries, dir, name);
	}
	free(names);
	if (r < 0)
		return -1;
	if (entries->n > 0)
		qsort(entries->list, entries->n, sizeof(*entries->list), compare_entries);
	for (uint32_t i = 0; i < entries->n; i++) {
		const char *name = entries->list[i].name;
		char *path;

		if (!illegal_name(name))
			continue;
		path = load_join(dir, name, strlen(name));
		if (!path)
			return fault_memory(load);
		r = fault_file(
		        load, FAULT_FILENAME, path, 0,
		        "a policy file's name may hold 0-9 a-z _ . - only; rename or remove it");
		free(path);
		if (r && load_settle(load))
			return -1;
	}
	return 0;
}

/* Enter a file by its real path: bounds, and no file within itself. */
static int enter(struct load *load, const char *path)
{
	for (uint32_t i = 0; i < load->depth; i++) {
		if (strcmp(load->stack[i], path) == 0)
			return fault_file(
			        load, FAULT_RECURSION, path, 0,
			        "this file includes itself; remove one of the !include lines");
	}
	if (load->depth == POLICY_DEPTH_MAX)
		return fault_file(load, FAULT_RECURSION, path, 0,
		                  "includes are nested too deeply; include fewer levels");
	if (load->n_files == POLICY_INCLUDES_MAX)
		return fault_file(load, FAULT_LIMIT, path, 0, "too many files in one policy");
	load->n_files++;
	load->stack[load->depth++] = path;
	return 0;
}

static int take_rule(const struct parse_at *at, const struct parsed_line *parsed)
{
	if (policy_add_rule(at->load->policy, at->file, at->line, parsed) == 0)
		return 0;
	if (errno == E2BIG)
		return fault_file(at->load, FAULT_LIMIT, at->path, 0,
		                  "too many rules in one policy");
	return fault_memory(at->load);
}

static int take_line(struct parse_at *at, struct slice line)
{
	struct parsed_line parsed;
	struct line_fault what;

	if (at->service.p)
		(void)parse_service_line((char *)(uintptr_t)line.p, line.len, at->service,
		                         at->argument, &parsed, &what);
	else
		(void)parse_line(line, &parsed, &what);
	if (what.code != CODE_NONE)
		return fault_line(at, line, &what);
	if (parsed.kind == LINE_BLANK)
		return 0;
	if (parsed.kind == LINE_RULE)
		return take_rule(at, &parsed);
	what.code = CODE_NONE;
	what.where = parsed.path;
	if (load_directive(at, &parsed, &what) == 0)
		return 0;
	return what.code == CODE_NONE ? -1 : fault_line(at, line, &what);
}

static int fault_encoding(const struct parse_at *at, struct text_lines lines)
{
	struct slice line;

	(void)fault_file(at->load, FAULT_ENCODING, at->path, 0,
	                 "this file is not UTF-8; save it in that encoding");
	while (text_line(&lines, &line)) {
		if (text_utf8(line.p, line.len))
			continue;
		at->load->fault->line = lines.line;
		break;
	}
	return -1;
}

static int parse_text(struct parse_at *at, char *data, size_t len)
{
	struct text_lines lines = {.p = data, .end = data + len};
	struct slice line;

	if (!text_utf8(data, len))
		return fault_encoding(at, lines);
	at->file = policy_add_file(at->load->policy, at->path);
	if (at->file == NO_ID)
		return fault_memory(at->load);
	while (text_line(&lines, &line)) {
		at->line = lines.line;
		at->text = line;
		if (take_line(at, line) && load_settle(at->load))
			return -1;
	}
	return 0;
}

/* A file by its real path. service.p NULL: 5.0 format. */
int load_file(struct load *load, const char *path, const char *shown, const char *base,
              struct slice service, struct slice argument)
{
	struct parse_at at = {.load = load,
	                      .path = shown,
	                      .base = base,
	                      .service = service,
	                      .argument = argument};
	char *data;
	size_t len;
	int r;

	if (enter(load, path))
		return -1;
	if (load->files->read(load->files->ctx, path, &data, &len)) {
		enum fault_kind kind = errno == EFBIG    ? FAULT_LIMIT
		                       : errno == ENOMEM ? FAULT_MEMORY
		                                         : FAULT_IO;

		load->depth--;
		return fault_file(load, kind, path, errno, "cannot read this file");
	}
	load->total += len;
	if (load->total > POLICY_TOTAL_MAX)
		r = fault_file(load, FAULT_LIMIT, path, 0, "more text than a policy may have");
	else
		r = parse_text(&at, data, len);
	free(data);
	load->depth--;
	return r;
}

/* The file at an entry; its rules carry the resolved path. */
int load_entry(struct load *load, const struct entry *entry, const char *base, struct slice service,
               struct slice argument)
{
	char *path = load_join(entry->dir, entry->name, strlen(entry->name));
	char *real = NULL;
	enum file_kind kind;
	int r = -1;

	if (!path)
		return fault_memory(load);
	if (load->files->resolve(load->files->ctx, path, &real, &kind))
		(void)fault_file(load, FAULT_IO, path, errno, "cannot look at this file");
	else if (kind != FILE_REGULAR)
		(void)fault_file(load, FAULT_IO, path, ENOENT, "this file went away");
	else
		r = load_file(load, real, path, base, service, argument);
	free(real);
	free(path);
	return r;
}

/* 2.2 steps 3 and 4: the first directory's file of a name hides the others. */
static int load_all(struct load *load, const struct policy_place *place)
{
	static const struct slice none = {NULL, 0};
	struct entries all = {0};
	int r = 0;

	for (size_t d = 0; d < place->n_dirs && r == 0; d++) {
		struct entries here = {0};
		uint32_t before = all.n;

		r = load_list_policy(load, place->dirs[d], &here);
		if (r)
			r = load_settle(load);
		for (uint32_t i = 0; i < here.n && r == 0; i++) {
			bool hidden = before > 0 && bsearch(&here.list[i], all.list, before,
			                                    sizeof(*all.list), compare_entries);

			if (!hidden)
				r = load_add_entry(load, &all, here.list[i].dir, here.list[i].name);
		}
		entries_fini(&here);
		if (r == 0 && all.n > 0)
			qsort(all.list, all.n, sizeof(*all.list), compare_entries);
	}
	for (uint32_t i = 0; i < all.n && r == 0; i++) {
		r = load_entry(load, &all.list[i], all.list[i].dir, none, none);
		if (r)
			r = load_settle(load);
	}
	entries_fini(&all);
	return r;
}

struct policy *policy_load(const struct policy_place *place, const struct policy_files *files,
                           struct policy_fault *fault)
{
	return policy_load_report(place, files, NULL, NULL, fault);
}

struct policy *policy_load_report(const struct policy_place *place,
                                  const struct policy_files *files, policy_fault_fn *report,
                                  void *ctx, struct policy_fault *fault)
{
	struct load load = {.files = files,
	                    .fault = fault,
	                    .report = report,
	                    .report_ctx = ctx,
	                    .legacy_dir = place->legacy_dir,
	                    .policy = policy_new()};

	CHECK(place->n_dirs <= POLICY_DIRS_MAX);
	*fault = (struct policy_fault){0};
	if (!load.policy) {
		(void)fault_memory(&load);
		return NULL;
	}
	if (load_all(&load, place))
		return policy_unref(load.policy);
	if (policy_index(load.policy)) {
		(void)fault_memory(&load);
		return policy_unref(load.policy);
	}
	return load.policy;
}

struct policy *policy_load_disk(const struct policy_place *place, struct policy_inputs *inputs,
                                struct policy_fault *fault)
{
	struct policy_disk disk = {.inputs = inputs};
	struct policy_files files = policy_files_disk(&disk);

	if (inputs)
		*inputs = (struct policy_inputs){0};
	return policy_load(place, &files, fault);
}
