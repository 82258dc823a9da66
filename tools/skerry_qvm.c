/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subcommands that do what a qvm-* command does, with --json and under their own name; and running commands
 * in qubes, which is qvm-run with the options a person wants.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tools/qvm/qvm.h"
#include "tools/skerry_admin.h"

static int as_skerry(int (*run)(int argc, const char *const *argv), int argc, char **argv,
                     const struct skerry_options *options)
{
	args_set_front("skerry");
	out_set_json(options->json);
	return run(argc - 1, (const char *const *)argv + 1);
}

#define SUBCOMMAND(name)                                                                           \
	int skerry_##name(int argc, char **argv, const struct skerry_options *options)             \
	{                                                                                          \
		return as_skerry(qvm_##name##_run, argc, argv, options);                           \
	}

SUBCOMMAND(clone)
SUBCOMMAND(device)
SUBCOMMAND(features)
SUBCOMMAND(firewall)
SUBCOMMAND(pool)
SUBCOMMAND(tags)
SUBCOMMAND(volume)

/* The words behind "--", or behind the qube's name. */
static int run_words(const struct text_list *front, int from, int argc, char **argv)
{
	struct text_list words = *front;

	if (from < argc && strcmp(argv[from], "--") == 0)
		from++;
	if (from >= argc)
		return -1;
	text_list_add(&words, "--");
	for (int i = from; i < argc; i++)
		text_list_add(&words, argv[i]);
	args_set_front("skerry");
	return qvm_run_run((int)words.n, words.items);
}

/* skerry run [--user=U] QUBE [--] COMMAND …; skerry run --disp[=TEMPLATE] [--] COMMAND … */
int skerry_run(int argc, char **argv, const struct skerry_options *options)
{
	const char *user = NULL, *template = NULL;
	bool disposable = false;
	const struct word_option table[] = {{"--user", &user, NULL},
	                                    {"--disp", &template, &disposable},
	                                    {0}};
	struct text_list words = {0};
	int status, n = 1;

	(void)options;
	/* Options are those before the qube: what follows is the command's. */
	while (n < argc && argv[n][0] == '-' && strcmp(argv[n], "--") != 0)
		n++;
	if (words_take(n, argv, table) < 0)
		return skerry_usage("run");
	text_list_add(&words, "--pass-io");
	if (user)
		text_list_add(&words, arena_printf("--user=%s", user));
	if (disposable)
		text_list_add(&words, arena_printf("--dispvm=%s", template ? template : ""));
	else if (n < argc && strcmp(argv[n], "--") != 0)
		text_list_add(&words, argv[n++]);
	else
		return skerry_usage("run");
	status = run_words(&words, n, argc, argv);
	return status < 0 ? skerry_usage("run") : status;
}

int skerry_disp(int argc, char **argv, const struct skerry_options *options)
{
	const char *template = NULL;
	const struct word_option table[] = {{"--template", &template, NULL}, {0}};
	struct text_list words = {0};
	int n = 1, status;

	(void)options;
	while (n < argc && argv[n][0] == '-' && strcmp(argv[n], "--") != 0)
		n++;
	if (words_take(n, argv, table) < 0)
		return skerry_usage("disp");
	text_list_add(&words, "--pass-io");
	text_list_add(&words, arena_printf("--dispvm=%s", template ? template : ""));
	status = run_words(&words, n, argc, argv);
	return status < 0 ? skerry_usage("disp") : status;
}

/*
 * A terminal of its own in the qube, where script(1) is there; what it prints passes the filter for
 * terminals, so it is told that it has a simple one.
 */
static const char *shell_command(void)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	return arena_printf("export TERM=dumb; shell=${SHELL:-/bin/sh}; "
	                    "if command -v script >/dev/null; then exec script -q -e -c "
	                    "\"stty rows %d cols %d; exec $shell -i\" /dev/null; "
	                    "else exec $shell -i 2>&1; fi",
	                    size.ws_row, size.ws_col);
}

/* Keys go to the qube as they are: ^C is for what runs there. */
static bool terminal_raw(struct termios *before)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, before))
		return false;
	raw = *before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | INLCR | IGNCR); /* Enter stays a newline */
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

int skerry_shell(int argc, char **argv, const struct skerry_options *options)
{
	const char *user = NULL;
	const struct word_option table[] = {{"--user", &user, NULL}, {0}};
	struct text_list words = {0};
	struct termios before;
	bool raw;
	int status;

	(void)options;
	argc = words_take(argc, argv, table);
	if (argc != 2)
		return skerry_usage("shell");
	text_list_add(&words, "--pass-io");
	text_list_add(&words, "--no-colour-output");
	text_list_add(&words, "--no-colour-stderr");
	if (user)
		text_list_add(&words, arena_printf("--user=%s", user));
	text_list_add(&words, argv[1]);
	text_list_add(&words, shell_command());
	args_set_front("skerry");
	raw = terminal_raw(&before);
	status = qvm_run_run((int)words.n, words.items);
	if (raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	return status;
}
