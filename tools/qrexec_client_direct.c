/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dom0 calls dom0: the service takes this process's place and its standard descriptors. */
#include "tools/qrexec_client_direct.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/run.h"
#include "call/service.h"
#include "call/spawn.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

#define USER_PART "DEFAULT:"

/* Copies standard input to the pipe until one of them ends. */
static void feed(int pipe_fd, const char *prefix) NORETURN;
static void feed(int pipe_fd, const char *prefix)
{
	static char buf[65536];
	struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = pipe_fd}};

	(void)signal(SIGPIPE, SIG_IGN);
	/* Who waits for the end of our output waits for the service's, not for this process. */
	(void)close(STDOUT_FILENO);
	(void)close(STDERR_FILENO);
	if (fd_write_all(pipe_fd, prefix, strlen(prefix)))
		_exit(0);
	/* A service that has ended takes nothing more, and what is typed is not ours to eat then. */
	while (poll(ends, ARRAY_LEN(ends), -1) >= 0 || errno == EINTR) {
		ssize_t n;

		if (ends[1].revents)
			break;
		n = ends[0].revents ? read(STDIN_FILENO, buf, sizeof(buf)) : -1;
		if (n == 0 || (n < 0 && ends[0].revents && errno != EINTR && errno != EAGAIN))
			break;
		if (n > 0 && fd_write_all(pipe_fd, buf, (size_t)n))
			break;
	}
	_exit(0);
}

/*
 * -p: a process feeds the prefix, then what stands on the standard input, into a pipe in its place.
 * It is nobody's child: the service, which takes our place, must not find one that it never had.
 */
static int feed_prefix(const char *prefix)
{
	int pipe_fds[2];
	int status;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)close(pipe_fds[0]);
		pid = fork();
		if (pid == 0)
			feed(pipe_fds[1], prefix);
		_exit(pid < 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0 ||
	    dup2(pipe_fds[0], STDIN_FILENO) < 0)
		pid = -1;
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return pid < 0 ? -1 : 0;
}

/* -e: the service lives on without us; its start is all that is reported. 0, 125 or 127. */
static int start_only(const struct service_command *command, struct service_found *found)
{
	char *argv[] = {found->path,
	                command->argument && command->argument[0] ? command->argument : NULL, NULL};
	struct spawn_config config = {.path = found->path, .argv = argv, .stdio = SPAWN_NULL};
	char **env = spawn_environment(command, NULL, 0);
	struct spawned spawned;
	int r = ENOMEM;

	config.env = env;
	if (env)
		r = spawn_start(&config, &spawned);
	free(env);
	if (r == 0)
		return 0;
	errno = r;
	LOG_ERRNO("%s", found->path);
	return r == ENOENT ? QREXEC_EXIT_NOT_FOUND : QREXEC_EXIT_PROBLEM;
}

/* What cannot be had without a daemon. NULL: nothing. */
static const char *unsupported(const struct dom0_options *options)
{
	if (options->local)
		return "-l: not for a service of dom0 itself";
	if (options->kill)
		return "-k: dom0 is not killed";
	if (options->stdin_socket)
		return "--use-stdin-socket: not for a service of dom0 itself";
	if (strncmp(options->command, USER_PART, strlen(USER_PART)) != 0)
		return "the user of a service of dom0 must be DEFAULT";
	return NULL;
}

/* Tools of dom0 name no target ("QUBESRPC service dom0"): it is dom0. 0, or 125. */
static int complete(struct service_command *command)
{
	if (command->n_tokens != 2)
		return 0;
	command->target_type = strdup("name");
	command->target = strdup("dom0");
	if (!command->target_type || !command->target) {
		LOG_ERRNO("the target of a call");
		return QREXEC_EXIT_PROBLEM;
	}
	command->n_tokens = 4;
	return 0;
}

/* Parsed and found, or 125, 127. */
static int find(const char *line, struct service_command *command, struct service_found *found)
{
	int status = service_parse(line, true, command);

	if (status)
		return status;
	if (!command->is_rpc) {
		LOG("only services can be run in dom0, no shell commands");
		return QREXEC_EXIT_PROBLEM;
	}
	status = complete(command);
	if (status == 0)
		status = service_find(command, NULL, NULL, found);
	if (status)
		return status;
	if (found->kind != SERVICE_EXECUTABLE) {
		LOG("socket and TCP services cannot be called from dom0 itself");
		return QREXEC_EXIT_PROBLEM;
	}
	return 0;
}

int run_direct(const struct dom0_options *options)
{
	struct service_command command = {0};
	struct service_found found;
	const char *why = unsupported(options);
	int status;

	if (why) {
		LOG("%s", why);
		return QREXEC_EXIT_PROBLEM;
	}
	status = find(options->command + strlen(USER_PART), &command, &found);
	if (status == 0 && options->just_exec) {
		status = start_only(&command, &found);
	} else if (status == 0) {
		if (options->prefix && feed_prefix(options->prefix)) {
			LOG_ERRNO("-p");
			status = QREXEC_EXIT_PROBLEM;
		} else {
			status = run_exec(&command, &found);
		}
	}
	service_command_fini(&command);
	return status;
}
