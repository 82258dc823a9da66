/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/through_qrexec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/client/sink.h"

#define STDERR_MAX 4096 /* bytes of the client's complaint that are shown */

extern char **environ;

static const char *const places[] = {"qrexec-client-vm", "../qrexec-client-vm",
                                     "../../qube/client/qrexec-client-vm", NULL};

static bool client_find(char path[PATH_MAX])
{
	if (path_program(path, PATH_MAX, places) == 0)
		return true;
	memcpy(path, "/usr/bin/qrexec-client-vm", sizeof("/usr/bin/qrexec-client-vm"));
	return access(path, X_OK) == 0;
}

bool through_qrexec_possible(void)
{
	char path[PATH_MAX];

	return path_make(path, sizeof(path), "/var/run/qubes", "qrexec-agent") == 0 &&
	       access(path, F_OK) == 0 && client_find(path);
}

/* Starts the client with these three ends of pipes; -1 with errno. */
static int client_start(const struct admin_request *request, int in, int out, int err,
                        pid_t *ret_pid)
{
	char path[PATH_MAX];
	char *service = request->argument && *request->argument
	                        ? arena_printf("%s+%s", request->method, request->argument)
	                        : arena_dup(request->method);
	char *argv[] = {path, arena_dup(request->target), service, NULL};
	posix_spawn_file_actions_t actions;
	int r;

	if (!client_find(path)) {
		errno = ENOENT;
		return -1;
	}
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
		if (r == 0 && err >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
		if (r == 0)
			r = posix_spawn(ret_pid, path, &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	errno = r;
	return r ? -1 : 0;
}

/* Three pipes, ours and the client's ends. */
struct pipes {
	int in[2], out[2], err[2];
};

static void pipes_close(struct pipes *pipes)
{
	for (size_t i = 0; i < 2; i++) {
		pipes->in[i] = fd_close(pipes->in[i]);
		pipes->out[i] = fd_close(pipes->out[i]);
		pipes->err[i] = fd_close(pipes->err[i]);
	}
}

static int pipes_open(struct pipes *pipes)
{
	*pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	return pipe2(pipes->in, O_CLOEXEC) || pipe2(pipes->out, O_CLOEXEC) ||
	                       pipe2(pipes->err, O_CLOEXEC)
	               ? -1
	               : 0;
}

/* Writes the next piece of the payload; gives up on it when the client takes no more. */
static size_t payload_write(int fd, const struct admin_request *request, size_t sent)
{
	ssize_t n = write(fd, (const char *)request->payload + sent, request->payload_len - sent);

	if (n >= 0)
		return sent + (size_t)n;
	return errno == EINTR || errno == EAGAIN ? sent : request->payload_len;
}

/* Payload in, reply and complaints out; none of the three may wait for another. */
static void exchange(struct pipes *pipes, const struct admin_request *request, struct sink *out,
                     struct sink *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	size_t sent = 0;

	(void)sigaction(SIGPIPE, &ignore, &before);
	while (pipes->out[0] >= 0 || pipes->err[0] >= 0) {
		struct pollfd polled[3] = {{pipes->in[1], POLLOUT, 0},
		                           {pipes->out[0], POLLIN, 0},
		                           {pipes->err[0], POLLIN, 0}};

		if (sent == request->payload_len)
			pipes->in[1] = polled[0].fd = fd_close(pipes->in[1]);
		if (poll(polled, 3, -1) < 0)
			continue;
		if (polled[0].revents)
			sent = payload_write(pipes->in[1], request, sent);
		if (polled[1].revents &&
		    (sink_read(out, pipes->out[0]) != SINK_MORE || out->len > ADMIN_REPLY_MAX))
			pipes->out[0] = fd_close(pipes->out[0]);
		if (polled[2].revents &&
		    (sink_read(err, pipes->err[0]) != SINK_MORE || err->len > STDERR_MAX))
			pipes->err[0] = fd_close(pipes->err[0]);
	}
	(void)sigaction(SIGPIPE, &before, NULL);
}

static int client_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static struct admin_reply no_client(void)
{
	return admin_reply_error("QubesDaemonAccessError",
	                         arena_printf("qrexec-client-vm: %s; is the agent of this qube "
	                                      "installed?",
	                                      strerror(errno)));
}

void through_qrexec_call(struct admin_request *request)
{
	struct sink out = {0}, err = {0};
	const char *complaint;
	struct pipes pipes;
	pid_t pid;

	if (pipes_open(&pipes) ||
	    client_start(request, pipes.in[0], pipes.out[1], pipes.err[1], &pid)) {
		request->reply = no_client();
		pipes_close(&pipes);
		return;
	}
	pipes.in[0] = fd_close(pipes.in[0]);
	pipes.out[1] = fd_close(pipes.out[1]);
	pipes.err[1] = fd_close(pipes.err[1]);
	exchange(&pipes, request, &out, &err);
	pipes_close(&pipes);
	complaint = err.len ? err.data : "";
	if (client_wait(pid) != 0)
		request->reply =
		        admin_reply_error("QubesDaemonAccessError",
		                          arena_printf("Service call error: %.*s",
		                                       (int)strcspn(complaint, "\n"), complaint));
	else
		request->reply = admin_reply_decode(out.data, out.len);
}

int through_qrexec_open(const struct admin_request *request, const char **ret_error)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out[2] = {-1, -1};
	pid_t pid;

	if (null < 0 || pipe2(out, O_CLOEXEC) || client_start(request, null, out[1], -1, &pid)) {
		*ret_error = no_client().text;
		out[0] = fd_close(out[0]);
	}
	fd_close(null);
	fd_close(out[1]);
	return out[0];
}
