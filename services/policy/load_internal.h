/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_LOAD_INTERNAL_H
#define SERVICES_POLICY_LOAD_INTERNAL_H

#include "services/policy/policy_internal.h"

/* One load under way. Functions return 0, or -1 with the fault written. */
struct load {
	const struct policy_files *files;
	struct policy_fault *fault;
	policy_fault_fn *report; /* NULL: the first fault ends the load */
	void *report_ctx;
	const char *legacy_dir;
	struct policy *policy;
	const char *stack[POLICY_DEPTH_MAX]; /* real paths of the files being read */
	uint32_t depth;
	uint32_t n_files;
	size_t total; /* bytes read */
};

/* Where in a file a load is. */
struct parse_at {
	struct load *load;
	const char *path;     /* as it is spoken of */
	const char *base;     /* what relative includes start from */
	struct slice service; /* p NULL: 5.0 format */
	struct slice argument;
	uint32_t file;
	uint32_t line;
	struct slice text; /* the line being read */
};

struct entry {
	const char *dir; /* borrowed */
	char *name;
};

struct entries {
	struct entry *list;
	uint32_t n;
	uint32_t room;
};

/**
 * load_settle() - after a fault: whether the load goes on
 *
 * Only where all faults are wanted: this one is reported, and what it is about is left out.
 */
int load_settle(struct load *load) MUST_CHECK;
void entries_fini(struct entries *entries);
/** load_join() - dir/name, or name if it is absolute; given, NULL: no memory */
char *load_join(const char *dir, const char *name, size_t len);
int load_add_entry(struct load *load, struct entries *entries, const char *dir, const char *name);
/** load_list_policy() - the policy files of one directory, sorted by name */
int load_list_policy(struct load *load, const char *dir, struct entries *entries);
/** load_file() - a file by its real path, spoken of as shown; service.p NULL: 5.0 format */
int load_file(struct load *load, const char *path, const char *shown, const char *base,
              struct slice service, struct slice argument);
int load_entry(struct load *load, const struct entry *entry, const char *base, struct slice service,
               struct slice argument);
/** load_directive() - what a directive pulls in; on -1 *what holds a code if the line is at fault */
int load_directive(struct parse_at *at, const struct parsed_line *line, struct line_fault *what);

#endif
