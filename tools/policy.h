/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_POLICY_H
#define TOOLS_POLICY_H

#include <limits.h>
#include <stdbool.h>

#include "services/policy/decide.h"
#include "services/policy/table.h"
#include "tools/skerry.h"

/* What `skerry policy ...` commands share: options, the policy, the facts. */

#define POLICY_WORDS_MAX 64U

struct json_object;

struct policy_tool {
	const struct skerry_options *options;
	const char *command;
	bool help;
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
/** tool_locate() - the column of a word in the fault's line, if it is there as written */
void tool_locate(struct policy_fault *fault, const char *text, size_t len);
/** tool_forget_lines() - frees what the two keep of the file shown last */
void tool_forget_lines(void);

/** tool_clean() - fit for a terminal and for JSON: no control, no broken UTF-8; in place */
char *tool_clean(char *text);
/** tool_json_text() / tool_json_print() - a cleaned text in an object; an object as one line, given */
void tool_json_text(struct json_object *object, const char *key, const char *text);
void tool_json_print(struct json_object *object);

/* Each returns an exit status, SKERRY_USAGE for wrong words. */
int policy_check(struct policy_tool *tool);
int policy_why(struct policy_tool *tool);
int policy_list(struct policy_tool *tool);
int policy_graph(struct policy_tool *tool);
int policy_test(struct policy_tool *tool);

/* A check under way. */
struct policy_check {
	struct policy_tool *tool;
	struct names seen; /* faults shown; a file may be included twice */
	int errors;
	int warnings;
};

/** check_warn() - a warning, counted */
void check_warn(struct policy_check *check, struct policy_fault *fault);
/** check_rules() - rules that never decide, words that name nothing */
void check_rules(struct policy_check *check);
/** check_files() - names that are ignored, include files that nothing includes and that are broken */
void check_files(struct policy_check *check, const struct policy_inputs *inputs);

/* A faulty line, without its end and not terminated; len 0 if the fault is of the whole file. */
typedef void lint_fn(void *ctx, const struct policy_fault *fault, const char *line, size_t len);

/** lint_file() - every line of a file alone; service: in the service format. How many faults; -1:
 *  cannot be read. */
int lint_file(const char *path, bool service, lint_fn *report, void *ctx);

#endif
