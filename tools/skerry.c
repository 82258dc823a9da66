/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry - what an administrator asks the running system, in one command
 *
 * This file is the table of subcommands and their common options. It holds no privilege: every
 * subcommand uses the rights of who calls it.
 */
#include "tools/skerry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "tools/qvm/out.h"
#include "tools/need_root.h"

/* name, usage, help, function; in the order of --help. */
static const struct skerry_command commands[] = {
        {"up", "", "start the system", skerry_up},
        {"down", "", "stop the system with all its qubes", skerry_down},
        {"init", "", "make what a new system needs before its first qube", skerry_init},
        {"ls", "[--running] [QUBE ...]", "list qubes", skerry_ls},
        {"create", "NAME [--template=T] [--label=L] [--class=C] [--pool=P] [PROPERTY=VALUE ...]",
         "make a qube", skerry_create},
        {"clone", "QUBE NEW", "make a copy of a qube", skerry_clone},
        {"remove", "[--yes] QUBE ...", "remove qubes and what is stored in them", skerry_remove},
        {"prefs", "QUBE|system", "list the properties of a qube", skerry_prefs},
        {"get", "QUBE|system PROPERTY", "show a property", skerry_get},
        {"set", "[--default] QUBE|system PROPERTY [VALUE]", "change a property", skerry_set},
        {"start", "QUBE ...", "start qubes", skerry_start},
        {"stop", "[--force] [--no-wait] QUBE ...", "shut qubes down and wait", skerry_stop},
        {"kill", "QUBE ...", "end qubes at once", skerry_kill},
        {"pause", "QUBE ...", "let qubes stand still", skerry_pause},
        {"unpause", "QUBE ...", "let qubes run on", skerry_unpause},
        {"run", "[--user=U] QUBE [--] COMMAND ... | --disp[=TEMPLATE] -- COMMAND ...",
         "run a command in a qube", skerry_run},
        {"disp", "[--template=T] [--] COMMAND ...", "run a command in a new disposable",
         skerry_disp},
        {"shell", "[--user=U] QUBE", "work in a qube by its shell", skerry_shell},
        {"watch", "[QUBE]", "show events as they happen", skerry_watch},
        {"status", "", "show what runs of the system", skerry_status},
        {"doctor", "", "check what this machine has for the local ground", skerry_doctor},
        {"tags", "QUBE [list|add|del] [TAG ...]", "show and change tags", skerry_tags},
        {"features", "QUBE [FEATURE [VALUE]]", "show and set features", skerry_features},
        {"firewall", "QUBE [list|add|del|reset] ...", "show and change firewall rules",
         skerry_firewall},
        {"volume", "[list|info|resize|revert|import|clear|clone|config] ...",
         "show and change volumes", skerry_volume},
        {"pool", "[list|info|add|remove|set|drivers] ...", "show and change storage pools",
         skerry_pool},
        {"device", "CLASS [list|attach|detach|assign|unassign|info] ...",
         "show, attach and assign devices", skerry_device},
        {"apps", "[QUBE [--launch APP | --sync]]", "list and start the applications of qubes",
         skerry_apps},
        {"image", "[show|verify|install [PACKAGE]|confirm|back|reset]",
         "show and install images of dom0", skerry_image},
        {"ask", "[-s SOCKET] [--answer deny|allow:QUBE|FILE]", "answer prompts in this terminal",
         skerry_ask},
        {"log", "[--follow] [--lines=N] [QUBE | FILE]...", "show logs, safe on any terminal",
         skerry_log},
        {"policy", "check|why|list|graph|test|log ...",
         "check the policy and explain what it decides", skerry_policy},
        {"trace", "[--last | --call ID | --service NAME | --summary] [--follow]",
         "show where the time of calls went", skerry_trace},
};

static const struct skerry_command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void usage_print(FILE *out, const char *name)
{
	const struct skerry_command *command = command_find(name);

	fprintf(out, "usage: skerry %s %s\n", name, command ? command->args : "");
}

int skerry_usage(const char *name)
{
	usage_print(stderr, name);
	return SKERRY_USAGE;
}

const char *skerry_style(const struct skerry_options *options, enum skerry_style style)
{
	static const char *const escapes[] = {
	        [STYLE_PLAIN] = "\033[0m", [STYLE_GOOD] = "\033[32m", [STYLE_BAD] = "\033[31m",
	        [STYLE_WARN] = "\033[33m", [STYLE_FAINT] = "\033[2m", [STYLE_BOLD] = "\033[1m",
	};

	return options->colour ? escapes[style] : "";
}

static void help_print(FILE *out)
{
	fprintf(out, "usage: skerry [--root=DIR] [--json] [--no-color] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\n'skerry COMMAND --help' says more; so does skerry(1).\n");
}

/* Takes the common options out of argv; returns how many words are left. */
static int options_take(int argc, char **argv, struct skerry_options *out)
{
	const char *no_color = getenv("NO_COLOR");
	int left = 1;

	out->colour = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < argc)
				argv[left++] = argv[i++];
		} else if (strcmp(argv[i], "--json") == 0) {
			out->json = true;
		} else if (strcmp(argv[i], "--no-color") == 0) {
			out->colour = false;
		} else if (strncmp(argv[i], "--root=", 7) == 0) {
			paths_set_root(argv[i] + 7);
		} else {
			argv[left++] = argv[i];
		}
	}
	argv[left] = NULL;
	if (out->json)
		out->colour = false;
	return left;
}

int main(int argc, char **argv)
{
	struct skerry_options options = {0};
	const struct skerry_command *command;
	int status;

	log_init("skerry");
	argc = options_take(argc, argv, &options);
	need_root("skerry");
	if (argc < 2) {
		help_print(stderr);
		return SKERRY_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help_print(stdout);
		return SKERRY_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("skerry %s\n", SKERRY_VERSION);
		return SKERRY_DONE;
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr, "skerry: no command '%s'; 'skerry --help' lists them\n", argv[1]);
		return SKERRY_USAGE;
	}
	/* Commands that have commands of their own have more to say. */
	if (argc == 3 && strcmp(argv[2], "--help") == 0 && command->fn != skerry_policy) {
		usage_print(stdout, argv[1]);
		return SKERRY_DONE;
	}
	status = command->fn(argc - 1, argv + 1, &options);
	if (fflush(stdout))
		return SKERRY_REFUSED;
	out_end(status);
}
