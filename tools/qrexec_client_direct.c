/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dom0 calls dom0: the service takes this process's place and its standard descriptors. */
#include "tools/qrexec_client_direct.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/run.h"
#include "call/service.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define USER_PART "DEFAULT:"

/* -p: a child feeds the prefix, then what stands on the standard input, into a pipe in its place. */
static int feed_prefix(const char *prefix)
{
	static char buf[65536];
	int pipe_fds[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid != 0) {
		if (pid > 0 && dup2(pipe_fds[0], STDIN_FILENO) < 0)
			pid = -1;
		(void)close(pipe_fds[0]);
		(void)close(pipe_fds[1]);
		return pid < 0 ? -1 : 0;
	}
	(void)close(pipe_fds[0]);
	if (fd_write_all(pipe_fds[1], prefix, strlen(prefix)))
		_exit(0);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0 && fd_write_all(pipe_fds[1], buf, (size_t)n))
			_exit(0);
	}
	_exit(0);
}

/* -e: the service lives on without us; its start is all that is reported. */
static int detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (null < 0)
		return -1;
	pid = fork();
	if (pid > 0)
		_exit(0);
	if (pid < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -1;
	return 0;
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
	if (status == 0 && options->just_exec && detach())
		status = QREXEC_EXIT_PROBLEM;
	if (status == 0 && options->prefix && feed_prefix(options->prefix))
		status = QREXEC_EXIT_PROBLEM;
	if (status == 0)
		status = run_exec(&command, &found);
	service_command_fini(&command);
	return status;
}
