/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrexec-client-vm: one call from this qube. Asks the agent, listens for the service's end, moves
 * the bytes, exits with what came of it. It is started once for each call, so what it does before
 * the first byte is little. Runs with its user's rights and trusts neither end with more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/caller.h"
#include "call/request.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"
#include "qube/client/options.h"

#define CHANNEL_LIMIT_MS 120000 /* until the service's end is there; protocol */

enum exit_status {
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
};

struct client {
	struct client_options options;
	struct loop *loop;
	struct request *request;
	struct caller *caller;
};

/* The ends of a local program. */
struct local {
	pid_t pid;  /* -1: it could not be started */
	int in_fd;  /* ours: its standard input */
	int out_fd; /* ours: its standard output */
};

static void on_done(void *arg, int status)
{
	struct client *client = arg;

	loop_stop(client->loop, status == CALLER_FAILED ? STATUS_FAILED : status);
}

/* NAME=number into the environment, which the local program inherits. */
static int export_number(const char *name, long number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", number);
	return setenv(name, text, 1);
}

/*
 * A copy of a standard descriptor that the local program inherits under a number it is told. Made
 * before anything else is open: a shell's redirections know numbers of one digit only.
 */
static int export_saved(const char *name, int fd)
{
	int saved = fcntl(fd, F_DUPFD, 3);

	return saved < 0 ? -1 : export_number(name, saved);
}

static int export_local_environment(void)
{
	if (export_saved("SAVED_FD_0", STDIN_FILENO) || export_saved("SAVED_FD_1", STDOUT_FILENO))
		return -1;
	if (getenv("PASS_LOCAL_STDERR") && export_saved("SAVED_FD_2", STDERR_FILENO))
		return -1;
	return export_number("QREXEC_AGENT_PID", getpid());
}

/* posix_spawn() with the two ends in place, no blocked signal and SIGPIPE as it was. */
static int spawn(char *const *program, int in_fd, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t defaults;
	char *slash;
	char **argv;
	size_t n = 0;
	int error;

	while (program[n])
		n++;
	if (n == 0)
		return EINVAL;
	argv = calloc(n + 1, sizeof(*argv));
	if (!argv)
		return ENOMEM;
	memcpy(argv, program, n * sizeof(*argv));
	slash = strrchr(argv[0], '/');
	if (slash)
		argv[0] = slash + 1;
	(void)sigemptyset(&none);
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &defaults);
	(void)posix_spawn_file_actions_init(&actions);
	error = posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(ret_pid, program[0], &actions, &attributes, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	free(argv);
	return error;
}

/*
 * Two socketpairs, so that the program may also answer on its standard input after SIGUSR1. A
 * program that cannot be started counts as one that ended at once with the status a shell gives.
 */
static int start_local(char *const *program, struct local *out, int *ret_status)
{
	OWNED_FD int in_ours = -1;
	OWNED_FD int out_ours = -1;
	OWNED_FD int in_theirs = -1;
	OWNED_FD int out_theirs = -1;
	int pair[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	in_ours = pair[0];
	in_theirs = pair[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	out_ours = pair[0];
	out_theirs = pair[1];
	error = spawn(program, in_theirs, out_theirs, &out->pid);
	if (error) {
		errno = error;
		LOG_ERRNO("start %s", program[0]);
		out->pid = -1;
		*ret_status = error == ENOENT ? QREXEC_EXIT_NOT_FOUND : QREXEC_EXIT_REFUSED;
	}
	out->in_fd = fd_take(&in_ours);
	out->out_fd = fd_take(&out_ours);
	return 0;
}

static int start_call(struct client *client, struct vchan *vchan)
{
	struct local local = {.pid = -1, .in_fd = -1, .out_fd = -1};
	struct caller_config config = {
	        .stdio = client->options.stdin_socket ? CALLER_SOCKET : CALLER_STDIO,
	        .prefix = client->options.prefix,
	        .filter_out = client->options.filter_out,
	        .filter_err = client->options.filter_err,
	        .open_ms = CHANNEL_LIMIT_MS,
	        .done = on_done,
	        .arg = client,
	};

	if (client->options.program) {
		if (start_local(client->options.program, &local, &config.local_status)) {
			(void)vchan_close(vchan);
			return -1;
		}
		config.stdio = CALLER_PROGRAM;
		config.usr1 = true;
		config.pid = local.pid;
		config.in_fd = local.in_fd;
		config.out_fd = local.out_fd;
	}
	return caller_start(client->loop, vchan, &config, &client->caller);
}

static int listen_for(struct client *client, int domain, int port)
{
	struct vchan_config config;
	struct vchan *vchan;

	if (vchan_config_from_env(&config))
		return -1;
	config.peer = domain;
	config.port = port;
	config.read_min = client->options.buffer_size;
	config.write_min = client->options.buffer_size;
	if (vchan_listen(&config, &vchan))
		return -1;
	return start_call(client, vchan);
}

static void on_answer(void *arg, enum request_outcome outcome, int domain, int port)
{
	struct client *client = arg;
	static const char refused[] = "Request refused\n";

	switch (outcome) {
	case REQUEST_GRANTED:
		if (listen_for(client, domain, port)) {
			LOG_ERRNO("channel to domain %d, port %d", domain, port);
			loop_stop(client->loop, STATUS_FAILED);
		}
		return;
	case REQUEST_REFUSED:
		(void)!fd_write_all(STDERR_FILENO, refused, sizeof(refused) - 1);
		loop_stop(client->loop, QREXEC_EXIT_REFUSED);
		return;
	case REQUEST_BROKEN:
		loop_stop(client->loop, STATUS_FAILED);
		return;
	}
}

/*
 * SIGPIPE: a closed output is one closed direction, not the end. SIGUSR1 can come from the local
 * program before the loop listens for it, and means nothing without one. SIGCHLD: a parent that
 * ignores it passes that on, and the program's status would be lost.
 */
static int prepare_signals(bool local_program)
{
	sigset_t usr1;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	if (!local_program)
		return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? -1 : 0;
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return -1;
	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	return sigprocmask(SIG_BLOCK, &usr1, NULL);
}

static int run(struct client *client)
{
	const struct request_config config = {
	        .agent_socket = client->options.agent_socket,
	        .source = client->options.source,
	        .target = client->options.target,
	        .service = client->options.service,
	        .done = on_answer,
	        .arg = client,
	};
	int status;

	if (client->options.program && export_local_environment()) {
		LOG_ERRNO("environment of the local program");
		return STATUS_FAILED;
	}
	client->loop = loop_new();
	if (!client->loop || prepare_signals(client->options.program)) {
		LOG_ERRNO("start");
		return STATUS_FAILED;
	}
	if (request_start(client->loop, &config, &client->request)) {
		LOG_ERRNO("ask the agent at %s", client->options.agent_socket);
		return STATUS_FAILED;
	}
	status = loop_run(client->loop);
	if (status < 0) {
		LOG_ERRNO("event loop");
		return STATUS_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct client client;
	int status = STATUS_USAGE;

	log_init("qrexec-client-vm");
	vchan_use_grant();
	if (fd_open_stdio()) {
		LOG_ERRNO("standard descriptors");
		return STATUS_FAILED;
	}
	switch (client_options_parse(argc, argv, &client.options)) {
	case OPTIONS_RUN:
		status = run(&client);
		break;
	case OPTIONS_HELP:
		return 0;
	case OPTIONS_WRONG:
		return STATUS_USAGE;
	}
	client.caller = caller_free(client.caller);
	client.request = request_free(client.request);
	client.loop = loop_free(client.loop);
	return status;
}
