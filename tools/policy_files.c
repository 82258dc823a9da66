/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/policy.h"

/* skerry policy check: files that have no part in the policy although somebody may think they do. */

#define INCLUDE_DEPTH_MAX 8 /* directories in each other below include/; chosen */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t n = strlen(suffix);

	return len >= n && strcmp(name + len - n, suffix) == 0;
}

static void warn_file(struct policy_check *check, const char *path, const char *text)
{
	struct policy_fault fault = {0};

	(void)snprintf(fault.file, sizeof(fault.file), "%s", path);
	(void)snprintf(fault.text, sizeof(fault.text), "%s", text);
	check_warn(check, &fault);
}

static bool was_read(const struct policy_inputs *inputs, const char *real)
{
	for (size_t i = 0; i < inputs->n; i++) {
		if (!inputs->list[i].missing && strcmp(inputs->list[i].path, real) == 0)
			return true;
	}
	return false;
}

/* Why a name in a policy directory is no policy file; NULL: it is one, or nobody would think so. */
static const char *why_ignored(const char *path, const char *name)
{
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (there && S_ISDIR(st.st_mode))
		return has_suffix(name, ".policy") ? "ignored: it is a directory; use !include-dir"
		                                   : NULL;
	if (name[0] == '.')
		return has_suffix(name, ".policy")
		               ? "ignored: its name begins with a dot; rename or remove it"
		               : NULL;
	if (!has_suffix(name, ".policy"))
		return "ignored: its name does not end in .policy; rename or remove it";
	if (!there)
		return "ignored: this link leads nowhere; mend or remove it";
	return S_ISREG(st.st_mode) ? NULL : "ignored: it is no regular file; remove it";
}

static void check_hidden(struct policy_check *check, size_t dir, const char *path, const char *name)
{
	for (size_t i = 0; i < dir && has_suffix(name, ".policy") && name[0] != '.'; i++) {
		char *other;
		char *text = NULL;
		struct stat st;

		if (asprintf(&other, "%s/%s", check->tool->dirs[i], name) < 0)
			return;
		if (stat(other, &st) == 0 && S_ISREG(st.st_mode) &&
		    asprintf(&text, "hidden by %.200s, which has the same name", other) > 0)
			warn_file(check, path, text);
		free(text);
		free(other);
	}
}

/* The first fault of a file, and how many there are. */
struct first {
	struct policy_fault fault;
	int n;
};

static void take_first(void *ctx, const struct policy_fault *fault, const char *line, size_t len)
{
	struct first *first = ctx;

	if (first->n++ == 0)
		first->fault = *fault;
}

/* A file that nothing includes is checked by no load; it would break the policy that first does. */
static void check_unread(struct policy_check *check, const char *path)
{
	struct first rules = {0};
	struct first service = {0};
	char text[sizeof(rules.fault.text)];

	if (lint_file(path, false, take_first, &rules) < 1 ||
	    lint_file(path, true, take_first, &service) < 1)
		return;
	(void)snprintf(text, sizeof(text), "%s", rules.fault.text);
	(void)snprintf(rules.fault.text, sizeof(rules.fault.text),
	               "nothing includes this file, and it is broken in both formats: %.150s",
	               text);
	check_warn(check, &rules.fault);
}

static void check_includes(struct policy_check *check, const struct policy_inputs *inputs,
                           const char *dir, int depth)
{
	struct dirent **entries;
	int n = depth < INCLUDE_DEPTH_MAX ? scandir(dir, &entries, NULL, alphasort) : 0;

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char *real = NULL;
		char *path;
		struct stat st;

		if (name[0] == '.' || asprintf(&path, "%s/%s", dir, name) < 0)
			continue;
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			check_includes(check, inputs, path, depth + 1);
		else if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			real = realpath(path, NULL);
		if (real && !was_read(inputs, real))
			check_unread(check, path);
		free(real);
		free(path);
	}
	for (int i = 0; i < n; i++)
		free(entries[i]);
	if (n > 0)
		free(entries);
}

void check_files(struct policy_check *check, const struct policy_inputs *inputs)
{
	for (size_t d = 0; d < check->tool->n_dirs; d++) {
		const char *dir = check->tool->dirs[d];
		struct dirent **entries;
		int n = scandir(dir, &entries, NULL, alphasort);
		char *path;

		for (int i = 0; i < n; i++) {
			const char *name = entries[i]->d_name;

			if (asprintf(&path, "%s/%s", dir, name) >= 0) {
				const char *why = why_ignored(path, name);

				if (why)
					warn_file(check, path, why);
				else
					check_hidden(check, d, path, name);
				free(path);
			}
			free(entries[i]);
		}
		if (n >= 0)
			free(entries);
		if (asprintf(&path, "%s/include", dir) < 0)
			continue;
		check_includes(check, inputs, path, 0);
		free(path);
	}
}
