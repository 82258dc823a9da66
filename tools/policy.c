/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry policy - what the policy says, why, and whether it says what its author meant
 *
 * Uses the very engine that decides; reads files as whoever runs it and changes nothing.
 */
#include "tools/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/skerry_policy_log.h"

#define ADMIN_SOCKET "/run/qubesd.internal.sock"
#define FACTS_MAX    (64U << 20) /* bytes; chosen */

/* word, usage behind it, what it does */
static const struct {
	const char *name;
	const char *usage;
	int (*run)(struct policy_tool *tool);
} commands[] = {
        {"check", "[DIR|FILE...]", policy_check},
        {"why", "SOURCE TARGET SERVICE[+ARG]", policy_why},
        {"list", "[--service=S] [--source=Q] [--target=Q]", policy_list},
        {"graph", "[--include-ask] [--service=S] [--source=Q] [--target=Q]", policy_graph},
        {"test", "FILE", policy_test},
};

int tool_load_policy(struct policy_tool *tool)
{
	struct policy_place place = {.dirs = tool->dirs,
	                             .n_dirs = tool->n_dirs,
	                             .legacy_dir = tool->legacy};
	struct policy_fault fault;

	tool->policy = policy_load_disk(&place, NULL, &fault);
	if (tool->policy)
		return 0;
	tool_show_fault(tool, &fault, "error");
	return -1;
}

/* The running admin service's facts: its answer begins with "0" NUL. */
static int ask_facts(char **ret_data, size_t *ret_len)
{
	static const char question[] = "internal.GetSystemInfo+ dom0 name dom0";
	char path[PATH_MAX];
	OWNED_FD int fd = -1;

	if (path_make(path, sizeof(path), ADMIN_SOCKET, NULL))
		return -1;
	fd = fd_connect_unix(path, SOCK_STREAM);
	if (fd < 0 || fd_write_all(fd, question, sizeof(question)) || shutdown(fd, SHUT_WR) < 0 ||
	    fd_read_to_end(fd, 4096, FACTS_MAX, ret_data, ret_len))
		return -1;
	if (*ret_len < 2 || memcmp(*ret_data, "0", 2) != 0) {
		free(*ret_data);
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int tool_load_system(struct policy_tool *tool, bool quiet)
{
	const char *why = NULL;
	size_t skip = tool->system_info ? 0 : 2;
	char *data = NULL;
	size_t len = 0;
	int r;

	if (tool->system_info) {
		OWNED_FD int fd = open(tool->system_info, O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? -1 : fd_read_to_end(fd, 4096, FACTS_MAX, &data, &len);
	} else {
		r = ask_facts(&data, &len);
	}
	if (r) {
		why = strerror(errno);
	} else {
		tool->system = system_from_json(data + skip, len - skip, &why);
		free(data);
	}
	if (!tool->system && !quiet)
		fprintf(stderr, "facts about the qubes: %s: %s\n%s",
		        tool->system_info ? tool->system_info : "the running service", why,
		        tool->system_info ? "" : "give them with --system-info=FILE\n");
	return tool->system ? 0 : -1;
}

int tool_load(struct policy_tool *tool)
{
	if (tool_load_policy(tool) || tool_load_system(tool, false))
		return -1;
	tool->view = view_new(tool->policy, tool->system);
	if (!tool->view)
		fprintf(stderr, "%s\n", strerror(ENOMEM));
	return tool->view ? 0 : -1;
}

/* --name=value, or --name value. 1: taken, 0: another word. */
static int take_value(int argc, char **argv, int *i, const char *name, const char **ret)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return 0;
	if (argv[*i][len] == '=') {
		*ret = argv[*i] + len + 1;
		return 1;
	}
	if (argv[*i][len] != '\0' || *i + 1 >= argc)
		return 0;
	*ret = argv[++*i];
	return 1;
}

/* 1: an option and what belongs to it, 0: another word, -1: too many. */
static int take_option(struct policy_tool *tool, int argc, char **argv, int *i)
{
	const char *dir = NULL;

	if (take_value(argc, argv, i, "--system-info", &tool->system_info) ||
	    take_value(argc, argv, i, "--service", &tool->service) ||
	    take_value(argc, argv, i, "--source", &tool->source) ||
	    take_value(argc, argv, i, "--target", &tool->target))
		return 1;
	if (take_value(argc, argv, i, "--policy-dir", &dir)) {
		if (tool->n_dirs == POLICY_DIRS_MAX)
			return -1;
		tool->dirs[tool->n_dirs++] = dir;
		return 1;
	}
	if (strcmp(argv[*i], "--include-ask") == 0)
		tool->include_ask = true;
	else if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0)
		tool->help = true;
	else
		return 0;
	return 1;
}

/* The command is the first word, wherever the options stand. */
static int take_words(struct policy_tool *tool, int argc, char **argv)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		int r = only_words ? 0 : take_option(tool, argc, argv, &i);

		if (r < 0)
			return -1;
		if (r > 0)
			continue;
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		if (!only_words && argv[i][0] == '-' && argv[i][1] == '-')
			return -1;
		if (!tool->command)
			tool->command = argv[i];
		else if (tool->n_words < (int)POLICY_WORDS_MAX)
			tool->words[tool->n_words++] = argv[i];
		else
			return -1;
	}
	return 0;
}

static int set_places(struct policy_tool *tool)
{
	if (path_make(tool->run, sizeof(tool->run), POLICY_RUN_DIR, NULL) ||
	    path_make(tool->etc, sizeof(tool->etc), POLICY_ETC_DIR, NULL) ||
	    path_make(tool->legacy, sizeof(tool->legacy), POLICY_LEGACY_DIR, NULL))
		return -1;
	if (tool->n_dirs == 0) {
		tool->dirs[0] = tool->run;
		tool->dirs[1] = tool->etc;
		tool->n_dirs = 2;
	}
	return 0;
}

static int usage(FILE *out)
{
	fprintf(out,
	        "usage: skerry policy [--policy-dir=DIR]... [--system-info=FILE] COMMAND ...\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].usage);
	fprintf(out, "  log    [--verify] [--head=HASH] [FILE]\n");
	return out == stdout ? SKERRY_DONE : SKERRY_USAGE;
}

int skerry_policy(int argc, char **argv, const struct skerry_options *options)
{
	static struct policy_tool tool;
	int r = SKERRY_USAGE;

	if (argc > 1 && strcmp(argv[1], "log") == 0)
		return skerry_policy_log(argc - 1, argv + 1, options);
	tool = (struct policy_tool){.options = options};
	if (take_words(&tool, argc, argv) || (!tool.command && !tool.help) || set_places(&tool))
		return usage(stderr);
	if (tool.help)
		return usage(stdout);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, tool.command) == 0)
			r = commands[i].run(&tool);
	}
	(void)view_free(tool.view);
	(void)policy_unref(tool.policy);
	(void)system_unref(tool.system);
	tool_forget_lines();
	return r == SKERRY_USAGE ? usage(stderr) : r;
}
