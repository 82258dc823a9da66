/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_POLICY_H
#define TOOLS_POLICY_H

#include <limits.h>
#include <stdbool.h>

#include "services/policy/decide.h"
#include "tools/skerry.h"

/* What `skerry policy ...` commands share: options, the policy, the facts. */

#define POLICY_WORDS_MAX 64U

struct policy_tool {
	const struct skerry_options *options;
	const char *words[POLICY_WORDS_MAX]; /* what is left behind the options */
	int n_words;
	const char *dirs[POLICY_DIRS_MAX]; /* --policy-dir, or run and etc */
	size_t n_dirs;
	char run[PATH_MAX];
	char etc[PATH_MAX];
	char legacy[PATH_MAX];
	const char *system_info; /* --system-info FILE; NULL: ask the running service */
	const char *service;     /* --service */
	const char *source;
	const char *target;
	bool include_ask;
	struct policy *policy;
	struct system *system;
	struct view *view;
};

/** tool_load_policy() - 0, or -1: said on stderr with position and caret */
int tool_load_policy(struct policy_tool *tool) MUST_CHECK;
/** tool_load_system() - 0, or -1: said on stderr unless quiet */
int tool_load_system(struct policy_tool *tool, bool quiet) MUST_CHECK;
/** tool_load() - both, and the view */
int tool_load(struct policy_tool *tool) MUST_CHECK;

/** tool_show_fault() - FILE:LINE:COLUMN: error: text, the line and a caret below it; or JSON */
void tool_show_fault(const struct policy_tool *tool, const struct policy_fault *fault,
                     const char *level);

/* Each returns an exit status, SKERRY_USAGE for wrong words. */
int policy_check(struct policy_tool *tool);
int policy_why(struct policy_tool *tool);
int policy_list(struct policy_tool *tool);
int policy_graph(struct policy_tool *tool);
int policy_test(struct policy_tool *tool);

/* A faulty line, without its end and not terminated; len 0 if the fault is of the whole file. */
typedef void lint_fn(void *ctx, const struct policy_fault *fault, const char *line, size_t len);

/** lint_file() - every line of a file alone; service: in the service format. How many faults; -1:
 *  cannot be read. */
int lint_file(const char *path, bool service, lint_fn *report, void *ctx);

#endif
