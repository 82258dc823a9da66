/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-copy, qvm-move, qvm-copy-to-vm, qvm-move-to-vm: one program under four names. It looks whether
 * the receiver would take everything, then lets qrexec-client-vm make the call with qfile-agent as
 * its local program. The sources of a move go only when that agent has the receiver's confirmation.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filecopy/copy_command.h"
#include "filecopy/remove.h"
#include "filecopy/tree_check.h"
#include "lib/base/fd.h"

#define STATUS_USAGE  1
#define STATUS_FAILED 1

struct command {
	const char *name;
	bool moves;
	bool named_target; /* the first argument is a qube */
};

static const struct command commands[] = {
        {"qvm-copy", false, false},
        {"qvm-move", true, false},
        {"qvm-copy-to-vm", false, true},
        {"qvm-move-to-vm", true, true},
};

enum progress_choice { BY_TERMINAL, WITHOUT, WITH, LINES };

struct arguments {
	const struct command *command;
	enum progress_choice progress;
	bool ignore_links;
	char *target;
	char **files; /* NULL-terminated */
	int n_files;
};

static int usage(const struct command *command, FILE *to, int status)
{
	(void)fprintf(
	        to,
	        "usage: %s [OPTION...] %sFILE...\n"
	        "%s files and folders to another qube: %s.\n"
	        "      --with-progress, --without-progress  how far it is, on standard error;\n"
	        "                                           by default if that is a terminal\n"
	        "      --progress-lines                     \"BYTES TOTAL\" lines on standard "
	        "output\n"
	        "      --ignore-symlinks, --no-ignore-symlinks\n"
	        "                                           pass over symbolic links\n"
	        "  -h, --help\n"
	        "They arrive in ~/QubesIncoming there.\n",
	        command->name, command->named_target ? "QUBE " : "",
	        command->moves ? "Moves" : "Copies",
	        command->named_target ? "dom0 asks, and proposes QUBE" : "dom0 asks which");
	return status;
}

static const struct command *command_of(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *name = slash ? slash + 1 : argv0;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return &commands[0];
}

/* 0: it is no option of ours. */
static int take_option(struct arguments *args, const char *word)
{
	if (strcmp(word, "--with-progress") == 0)
		args->progress = WITH;
	else if (strcmp(word, "--without-progress") == 0)
		args->progress = WITHOUT;
	else if (strcmp(word, "--progress-lines") == 0)
		args->progress = LINES;
	else if (strcmp(word, "--ignore-symlinks") == 0)
		args->ignore_links = true;
	else if (strcmp(word, "--no-ignore-symlinks") == 0)
		args->ignore_links = false;
	else
		return 0;
	return 1;
}

/* -1: go on; else the exit status. */
static int parse(struct arguments *args, int argc, char **argv)
{
	static char default_target[] = "@default";
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return usage(args->command, stdout, 0);
		if (!take_option(args, argv[i])) {
			(void)fprintf(stderr, "%s: %s: no such option\n", args->command->name,
			              argv[i]);
			return usage(args->command, stderr, STATUS_USAGE);
		}
	}
	args->target = default_target;
	if (args->command->named_target && i < argc)
		args->target = argv[i++];
	args->files = argv + i;
	args->n_files = argc - i;
	if (args->n_files == 0)
		return usage(args->command, stderr, STATUS_USAGE);
	for (int k = 0; k < args->n_files; k++)
		copy_strip(args->files[k]);
	return -1;
}

static enum tree_check_result check_files(const struct arguments *args, uint64_t *ret_bytes)
{
	const struct tree_check_config config = {
	        .program = args->command->name,
	        .ignore_links = args->ignore_links,
	        .allow_links = true,
	        .allow_folders = true,
	};
	enum tree_check_result worst = TREE_CHECK_FINE;

	for (int i = 0; i < args->n_files; i++) {
		enum tree_check_result r = TREE_CHECK_REFUSED;

		if (tree_check_argument(config.program, args->files[i]))
			r = tree_check(&config, args->files[i], ret_bytes);
		if (r == TREE_CHECK_REFUSED)
			return r;
		if (r != TREE_CHECK_FINE)
			worst = r;
	}
	return worst;
}

static int set_progress(const struct arguments *args, uint64_t bytes)
{
	char text[32];
	bool console =
	        args->progress == WITH || (args->progress == BY_TERMINAL && isatty(STDERR_FILENO));

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	if (setenv("FILECOPY_TOTAL_BYTES", text, 1))
		return -1;
	if (args->progress == LINES)
		return setenv("PROGRESS_TYPE", "lines", 1);
	if (console)
		return setenv("PROGRESS_TYPE", "console", 1);
	/* A file manager's script has chosen its own way. */
	return args->progress == WITHOUT ? unsetenv("PROGRESS_TYPE") : 0;
}

/* qrexec-client-vm --filter-escape-chars-stderr -- QUBE SERVICE AGENT [--ignore-symlinks] -- FILE… */
static char **call_words(const struct arguments *args, char *service, char *agent)
{
	static char client[] = "qrexec-client-vm";
	static char filter[] = "--filter-escape-chars-stderr";
	static char end[] = "--";
	static char ignore[] = "--ignore-symlinks";
	char **words = calloc((size_t)args->n_files + 9, sizeof(*words));
	size_t n = 0;

	if (!words)
		return NULL;
	words[n++] = client;
	words[n++] = filter;
	words[n++] = end;
	words[n++] = args->target;
	words[n++] = service;
	words[n++] = agent;
	if (args->ignore_links)
		words[n++] = ignore;
	words[n++] = end;
	memcpy(words + n, args->files, (size_t)args->n_files * sizeof(*words));
	return words;
}

/* The client on the path of the user, else the one beside this program. */
static int start_client(const char *program, char **words, pid_t *ret_pid)
{
	static const char *const places[] = {"qrexec-client-vm", "../client/qrexec-client-vm",
	                                     "../../bin/qrexec-client-vm", NULL};
	char *path;
	int e = posix_spawnp(ret_pid, words[0], NULL, NULL, words, environ);

	if (e == ENOENT) {
		path = copy_find(program, places, "/usr/bin/qrexec-client-vm");
		if (!path)
			return -1;
		e = posix_spawn(ret_pid, path, NULL, NULL, words, environ);
		free(path);
	}
	if (e == 0)
		return 0;
	(void)fprintf(stderr, "%s: %s: %s\n", program, words[0], strerror(e));
	return -1;
}

/* What the agent said about the end: 'd'one, 'f'ailed, or 0: it was never there, or is not ours. */
static char agent_said(int fd)
{
	char first = 0;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) || read(fd, &first, 1) != 1)
		return 0;
	return first;
}

/* The whole call. *ret_confirmed: the receiver has everything, and the agent said so. */
static int call(const struct arguments *args, char **words, bool *ret_confirmed)
{
	OWNED_FD int said_here = -1;
	OWNED_FD int said_there = -1;
	char number[16];
	int ends[2];
	pid_t pid;
	int status;
	char said;

	if (pipe2(ends, O_CLOEXEC)) {
		perror(args->command->name);
		return STATUS_FAILED;
	}
	said_here = ends[0];
	said_there = ends[1];
	(void)snprintf(number, sizeof(number), "%d", said_there);
	if (fd_set_cloexec(said_there, false) || setenv("QFILE_RESULT_FD", number, 1) ||
	    start_client(args->command->name, words, &pid))
		return STATUS_FAILED;
	status = copy_wait(pid);
	said = agent_said(said_here);
	*ret_confirmed = said == 'd';
	/* A receiver that is content with what the agent could not send, or not check. */
	if (status == 0 && said == 'f')
		status = STATUS_FAILED;
	return status;
}

static int remove_sources(const struct arguments *args, bool confirmed,
                          const struct timespec *began)
{
	bool all = true;

	if (!confirmed) {
		(void)fprintf(stderr,
		              "%s: nothing confirms that everything arrived; nothing is "
		              "removed\n",
		              args->command->name);
		return STATUS_FAILED;
	}
	for (int i = 0; i < args->n_files; i++)
		all = remove_moved(args->command->name, args->files[i], began,
		                   args->ignore_links) &&
		      all;
	return all ? 0 : STATUS_FAILED;
}

static int run(const struct arguments *args, char *service, uint64_t bytes)
{
	static const char *const places[] = {"qfile-agent", "../lib/qubes/qfile-agent", NULL};
	char *agent = copy_find(args->command->name, places, "/usr/lib/qubes/qfile-agent");
	char **words = agent ? call_words(args, service, agent) : NULL;
	struct timespec began = {0};
	bool confirmed = false;
	int status = STATUS_FAILED;

	if (words && (!args->command->moves || remove_began(&began) == 0) &&
	    set_progress(args, bytes) == 0) {
		status = call(args, words, &confirmed);
		if (status != 0)
			(void)fprintf(stderr, "%s: not copied, or not all of it (status %d)\n",
			              args->command->name, status);
		else if (args->command->moves)
			status = remove_sources(args, confirmed, &began);
	}
	free(words);
	free(agent);
	return status;
}

int main(int argc, char **argv)
{
	static char plain[] = "qubes.Filecopy";
	static char all_names[] = "qubes.Filecopy+allow-all-names";
	struct arguments args = {.command = command_of(argv[0])};
	uint64_t bytes = 0;
	enum tree_check_result checked;
	int status;

	if (fd_open_stdio())
		return STATUS_FAILED;
	status = parse(&args, argc, argv);
	if (status >= 0)
		return status;
	checked = check_files(&args, &bytes);
	if (checked == TREE_CHECK_REFUSED)
		return STATUS_FAILED;
	return run(&args, checked == TREE_CHECK_FINE ? plain : all_names, bytes);
}
