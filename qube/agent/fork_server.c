/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrexec-fork-server: runs in a user's session and starts services there, so that they belong to it.
 * The agent, which is root, decides what is run and has applied the service's configuration; only
 * the service's path is looked up here. A connection is one call and stays open as long as it lasts.
 * Source: doc/protocol/qrexec.md, 10.9.
 */
#include "qube/agent/fork_server.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/spawn.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "proto/qrexec.h"
#include "qube/agent/pool.h"

#define EXIT_USAGE  1
#define COMMAND_MAX QREXEC_LOCAL_BODY_MAX /* bytes with the NUL */
#define REQUEST_MS  30000                 /* a request that is not complete; chosen */
#define ACCEPT_TURN 16

struct server {
	struct loop *loop;
	struct pool *pool;
	int listener;
	struct loop_fd watch;
	char user[SERVICE_USER_MAX];
	const char *shell;
};

/* One call. */
struct request {
	struct server *server;
	int fd;
	struct loop_fd watch;
	struct loop_timer limit;
	uint8_t header[FORK_SERVER_HEADER];
	char *line; /* owned; "user:" and the command */
	size_t prefix_len;
	size_t command_len;
	size_t got; /* bytes of header and command */
};

static void drop(struct request *request)
{
	loop_timer_clear(request->server->loop, &request->limit);
	loop_fd_remove(request->server->loop, &request->watch);
	(void)fd_close(request->fd);
	free(request->line);
	free(request);
}

static void on_done(void *arg)
{
	drop(arg);
}

static int judge(const struct request *request, struct pool_job *job)
{
	struct service_command command;
	int r = service_parse(request->line, false, &command);

	if (r == 0 && command.is_rpc) {
		r = service_find(&command, NULL, "", &job->found);
		job->has_found = r == 0;
	}
	service_command_fini(&command);
	return r;
}

static void start(struct request *request)
{
	struct server *server = request->server;
	struct pool_job job = {
	        .domain = le32_get(request->header + 4),
	        .port = le32_get(request->header + 8),
	        .just_exec = le32_get(request->header) == QREXEC_JUST_EXEC,
	};

	loop_timer_clear(server->loop, &request->limit);
	loop_fd_remove(server->loop, &request->watch);
	(void)bytes_copy_text(job.shell, sizeof(job.shell), server->shell);
	job.status = judge(request, &job);
	if (pool_run(server->pool, &job, request->line, on_done, request)) {
		LOG_ERRNO("no worker for a call");
		drop(request);
	}
}

static int check_header(struct request *request)
{
	const struct server *server = request->server;
	uint32_t type = le32_get(request->header);
	uint32_t len = le32_get(request->header + 12);

	if ((type != QREXEC_EXEC_CMDLINE && type != QREXEC_JUST_EXEC) || len == 0 ||
	    len > COMMAND_MAX) {
		LOG("a request of a wrong type or length");
		return -1;
	}
	request->prefix_len = strlen(server->user) + 1;
	request->command_len = len;
	request->line = malloc(request->prefix_len + len);
	if (!request->line)
		return -1;
	memcpy(request->line, server->user, request->prefix_len - 1);
	request->line[request->prefix_len - 1] = ':';
	return 0;
}

/* 1: got that many bytes in all; 0: not yet; -1: no more will come */
static int fill(struct request *request, void *at, size_t need)
{
	uint8_t *p = at;

	while (request->got < need) {
		ssize_t n = recv(request->fd, p, need - request->got, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -1;
		p += n;
		request->got += (size_t)n;
	}
	return 1;
}

static int receive(struct request *request)
{
	size_t need = FORK_SERVER_HEADER;
	int r = 1;

	if (request->got < need) {
		r = fill(request, request->header + request->got, need);
		if (r == 1)
			r = check_header(request) ? -1 : 1;
	}
	if (r != 1)
		return r;
	need += request->command_len;
	r = fill(request, request->line + request->prefix_len + (request->got - FORK_SERVER_HEADER),
	         need);
	if (r != 1)
		return r;
	if (memchr(request->line, '\0', request->prefix_len + request->command_len) !=
	    request->line + request->prefix_len + request->command_len - 1) {
		LOG("a command that does not end at its NUL");
		return -1;
	}
	return 1;
}

static void on_request(void *arg, uint32_t events)
{
	struct request *request = arg;
	int r = receive(request);

	(void)events;
	if (r > 0)
		start(request);
	else if (r < 0)
		drop(request);
}

static void on_limit(void *arg)
{
	LOG("a request is not complete within the limit");
	drop(arg);
}

static void add_request(struct server *server, int fd)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request) {
		(void)fd_close(fd);
		return;
	}
	request->server = server;
	request->fd = fd;
	request->watch = (struct loop_fd)LOOP_FD_EMPTY;
	if (loop_fd_add(server->loop, &request->watch, fd, EPOLLIN, on_request, request) ||
	    loop_timer_set(server->loop, &request->limit, REQUEST_MS, on_limit, request)) {
		LOG_ERRNO("a request");
		drop(request);
	}
}

static void on_listener(void *arg, uint32_t events)
{
	struct server *server = arg;

	(void)events;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		add_request(server, fd);
	}
}

static int find_user(struct server *server)
{
	const struct passwd *own = getpwuid(geteuid());
	const char *name = getenv("USER");

	if (!name || !*name)
		name = own ? own->pw_name : NULL;
	if (!name || strchr(name, ':') ||
	    bytes_copy_text(server->user, sizeof(server->user), name)) {
		LOG("no user name in USER");
		return -1;
	}
	server->shell = getenv("SHELL");
	if (!server->shell || !*server->shell || strlen(server->shell) >= POOL_SHELL_MAX)
		server->shell = "/bin/sh";
	return 0;
}

static int bind_socket(struct server *server, const char *path_given)
{
	char format[PATH_MAX];
	char path[PATH_MAX];

	if (path_make(format, sizeof(format), FORK_SERVER_SOCKET, NULL) ||
	    fork_server_path(path, sizeof(path), path_given ? path_given : format, server->user))
		return -1;
	/* Only this user, and root, may have programs started in the session. */
	server->listener = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, 0600, 1024);
	if (server->listener < 0)
		LOG_ERRNO("%s", path);
	return server->listener < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct server server = {.listener = -1, .watch = LOOP_FD_EMPTY};

	log_init("qrexec-fork-server");
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)puts("qrexec-fork-server (Skerry) " SKERRY_VERSION);
		return 0;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		(void)fputs("usage: qrexec-fork-server [SOCKET]\n", stderr);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : EXIT_USAGE;
	}
	if (fd_open_stdio() || find_user(&server) ||
	    bind_socket(&server, argc == 2 ? argv[1] : NULL))
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	if (daemon(0, 0) < 0 || pool_new(&server.pool)) {
		LOG_ERRNO("the fork server cannot start");
		return 1;
	}
	/* After the spawner was forked: what it starts keeps the limit of the session. */
	spawn_raise_descriptors();
	if (!(server.loop = loop_new()) || pool_attach(server.pool, server.loop) ||
	    loop_fd_add(server.loop, &server.watch, server.listener, EPOLLIN, on_listener,
	                &server)) {
		LOG_ERRNO("the fork server cannot start");
		return 1;
	}
	(void)loop_run(server.loop);
	LOG_ERRNO("event loop");
	return 1;
}
