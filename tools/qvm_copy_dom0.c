/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-copy-to-vm and qvm-move-to-vm of dom0, and the names qvm-copy and qvm-move, which dom0 does not
 * have: it decides for itself, so nobody could be asked for the target.
 *
 * The sender and the call are two children with a pipe each way between them; both statuses count.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "filecopy/copy_command.h"
#include "filecopy/remove.h"
#include "filecopy/tree_check.h"
#include "lib/base/fd.h"
#include "tools/need_root.h"

#define STATUS_FAILED 1

/* The two pipes: what the child called first has, and what the second one has. */
struct pipes {
	int agent_in;
	int agent_out;
	int call_in;
	int call_out;
};

static int spawn_between(pid_t *ret_pid, const char *path, char *const *words, int in_fd,
                         int out_fd)
{
	posix_spawn_file_actions_t ends;
	int e = posix_spawn_file_actions_init(&ends);

	if (e)
		return e;
	e = posix_spawn_file_actions_adddup2(&ends, in_fd, STDIN_FILENO);
	if (e == 0)
		e = posix_spawn_file_actions_adddup2(&ends, out_fd, STDOUT_FILENO);
	if (e == 0)
		e = posix_spawnp(ret_pid, path, &ends, NULL, words, environ);
	(void)posix_spawn_file_actions_destroy(&ends);
	return e;
}

/* qvm-run starts a qube that is halted; without it, one that runs is called directly. */
static int start_call(const char *program, char *qube, const struct pipes *p, pid_t *ret_pid)
{
	static const char *const places[] = {"qrexec-client", NULL};
	char run[] = "qvm-run";
	char no_gui[] = "--no-gui";
	char pass_io[] = "--pass-io";
	char service_word[] = "--service";
	char end[] = "--";
	char service[] = "qubes.Filecopy";
	char client[] = "qrexec-client";
	char target[] = "-d";
	char command[] = "DEFAULT:QUBESRPC qubes.Filecopy dom0";
	char *const by_run[] = {run, no_gui, pass_io, service_word, end, qube, service, NULL};
	char *const by_client[] = {client, target, qube, command, NULL};
	char *path;
	int e = spawn_between(ret_pid, run, by_run, p->call_in, p->call_out);

	if (e == ENOENT) {
		path = copy_find(program, places, "/usr/bin/qrexec-client");
		if (!path)
			return -1;
		e = spawn_between(ret_pid, path, by_client, p->call_in, p->call_out);
		free(path);
	}
	if (e == 0)
		return 0;
	(void)fprintf(stderr, "%s: the call: %s\n", program, strerror(e));
	return -1;
}

static int start_agent(const char *program, char **files, int n_files, const struct pipes *p,
                       pid_t *ret_pid)
{
	static const char *const places[] = {"qfile-dom0-agent", "../lib/qubes/qfile-dom0-agent",
	                                     NULL};
	static char agent[] = "qfile-dom0-agent";
	static char end[] = "--";
	char **words = calloc((size_t)n_files + 3, sizeof(*words));
	char *path = copy_find(program, places, "/usr/lib/qubes/qfile-dom0-agent");
	int e = ENOMEM;

	if (words && path) {
		words[0] = agent;
		words[1] = end;
		memcpy(words + 2, files, (size_t)n_files * sizeof(*words));
		e = spawn_between(ret_pid, path, words, p->agent_in, p->agent_out);
		if (e)
			(void)fprintf(stderr, "%s: %s: %s\n", program, path, strerror(e));
	}
	free(words);
	free(path);
	return e ? -1 : 0;
}

static int make_pipes(struct pipes *p)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	p->call_in = ends[0];
	p->agent_out = ends[1];
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	p->agent_in = ends[0];
	p->call_out = ends[1];
	return 0;
}

/* The exit status of the whole: the sender's, or the call's if that is worse. */
static int copy(const char *program, char *qube, char **files, int n_files)
{
	struct pipes p = {-1, -1, -1, -1};
	pid_t call_pid = -1;
	pid_t agent_pid = -1;
	int status = STATUS_FAILED;
	int agent_status;

	if (make_pipes(&p))
		perror(program);
	else if (start_call(program, qube, &p, &call_pid) == 0)
		(void)start_agent(program, files, n_files, &p, &agent_pid);
	/* Each child has its own; a copy left here would hide the end of the other. */
	(void)fd_close(p.agent_in);
	(void)fd_close(p.agent_out);
	(void)fd_close(p.call_in);
	(void)fd_close(p.call_out);
	agent_status = agent_pid > 0 ? copy_wait(agent_pid) : STATUS_FAILED;
	if (call_pid > 0)
		status = copy_wait(call_pid);
	return status ? status : agent_status;
}

static int usage(const char *program, FILE *to, int status)
{
	(void)fprintf(to,
	              "usage: %s QUBE FILE...\n"
	              "%s files and folders of dom0 to a qube, into ~/QubesIncoming/dom0 there.\n",
	              program, strstr(program, "move") ? "Moves" : "Copies");
	return status;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *program = slash ? slash + 1 : argv[0];
	struct timespec began;
	bool all = true;
	int status;

	if (fd_open_stdio())
		return STATUS_FAILED;
	need_root(program);
	if (!strstr(program, "-to-vm")) {
		(void)fprintf(stderr,
		              "%s: not supported in dom0; name the qube: %s-to-vm QUBE "
		              "FILE...\n",
		              program, program);
		return STATUS_FAILED;
	}
	if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
		return usage(program, stdout, 0);
	if (argc > 1 && strcmp(argv[1], "--") == 0) {
		argv++;
		argc--;
	}
	if (argc < 3 || argv[1][0] == '-' || argv[1][0] == '\0')
		return usage(program, stderr, STATUS_FAILED);
	for (int i = 2; i < argc; i++) {
		copy_strip(argv[i]);
		if (!tree_check_argument(program, argv[i]))
			return STATUS_FAILED;
	}
	if (remove_began(&began))
		return STATUS_FAILED;
	status = copy(program, argv[1], argv + 2, argc - 2);
	if (status)
		(void)fprintf(stderr, "%s: not copied, or not all of it (status %d)\n", program,
		              status);
	for (int i = 2; status == 0 && strstr(program, "move") && i < argc; i++)
		all = remove_moved(program, argv[i], &began, false) && all;
	return status ? status : all ? 0 : STATUS_FAILED;
}
