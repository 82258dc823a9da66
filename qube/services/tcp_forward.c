/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP ports of this qube that lead into another one: qvm-connect-tcp LOCAL:QUBE:REMOTE by
 * qubes.ConnectTCP+REMOTE, and the updates proxy's port 8082 by qubes.UpdatesProxy. Each connection to
 * 127.0.0.1 becomes a call of its own, made by qrexec-client-vm with the connection as its input and
 * output; no byte of it passes here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/number.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"

#define CALLS_MAX 256 /* at once; more connections wait in the kernel's queue; chosen */

struct forward;

struct forwarded { /* one connection's client */
	struct forward *forward;
	struct loop_child child;
};

struct forward {
	struct loop *loop;
	struct loop_fd listener;
	const char *target;
	const char *service;
	unsigned int n_calls;
};

static void update_listener(struct forward *forward)
{
	loop_fd_set(forward->loop, &forward->listener, forward->n_calls < CALLS_MAX ? EPOLLIN : 0);
}

static void on_call_over(void *arg, int wait_status)
{
	struct forwarded *call = arg;

	(void)wait_status; /* the client said on standard error what was wrong */
	call->forward->n_calls--;
	update_listener(call->forward);
	free(call);
}

/* The connection becomes the client's standard input; it writes there as well. */
static int start_client(const struct forward *forward, int connection, pid_t *ret_pid)
{
	static char client[] = "qrexec-client-vm";
	static char option[] = "--use-stdin-socket";
	static char dashes[] = "--";
	char *words[] = {client, option, dashes, strdup(forward->target), strdup(forward->service),
	                 NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error = ENOMEM;

	(void)sigemptyset(&none);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	if (words[3] && words[4])
		error = posix_spawn_file_actions_adddup2(&actions, connection, STDIN_FILENO);
	if (!error)
		error = posix_spawnp(ret_pid, client, &actions, &attributes, words, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	free(words[3]);
	free(words[4]);
	errno = error;
	return error ? -1 : 0;
}

static void on_connection(void *arg, uint32_t events)
{
	struct forward *forward = arg;
	struct forwarded *call;
	pid_t pid;
	OWNED_FD int connection = accept4(forward->listener.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (connection < 0)
		return;
	call = calloc(1, sizeof(*call));
	if (!call || start_client(forward, connection, &pid)) {
		LOG_ERRNO("qrexec-client-vm");
		free(call);
		return;
	}
	*call = (struct forwarded){.forward = forward, .child = LOOP_CHILD_EMPTY};
	if (loop_child_add(forward->loop, &call->child, pid, on_call_over, call)) {
		LOG_ERRNO("watch the client");
		free(call);
		return;
	}
	forward->n_calls++;
	update_listener(forward);
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	struct forward *forward = arg;

	(void)signo;
	(void)sender;
	loop_stop(forward->loop, 0);
}

/* The user's own socket: what is reached by it is what the policy gives this qube. */
static int listen_unix(const char *path)
{
	int fd = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, 0600, 128);

	if (fd < 0)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return fd;
}

static int listen_local(long port)
{
	struct sockaddr_in address = {
	        .sin_family = AF_INET,
	        .sin_port = htons((uint16_t)port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	OWNED_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 128)) {
		(void)fprintf(stderr, "127.0.0.1:%ld: %s\n", port, strerror(errno));
		return -1;
	}
	return fd_take(&fd);
}

/* The port is ours before the caller goes on. What runs in the background holds none of the caller's
 * pipes open; --foreground is for those that collect what it says. */
static int go_to_background(void)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	(void)setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		return -1;
	(void)close(null);
	return 0;
}

static int serve(struct forward *forward, int listener)
{
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	forward->loop = loop_new();
	if (!forward->loop ||
	    loop_fd_add(forward->loop, &forward->listener, listener, EPOLLIN, on_connection,
	                forward) ||
	    loop_signal_add(forward->loop, SIGTERM, on_signal, forward) ||
	    loop_signal_add(forward->loop, SIGINT, on_signal, forward)) {
		LOG_ERRNO("start");
		return 1;
	}
	r = loop_run(forward->loop);
	loop_fd_remove(forward->loop, &forward->listener);
	(void)close(listener);
	loop_free(forward->loop);
	return r;
}

static int usage(FILE *to, int status)
{
	(void)fprintf(
	        to,
	        "usage: qvm-connect-tcp [--foreground] [LOCAL]:[QUBE]:REMOTE\n"
	        "       qvm-connect-tcp [--foreground] --service=SERVICE LOCAL:[QUBE]\n"
	        "Connections to 127.0.0.1:LOCAL reach port REMOTE of QUBE; without LOCAL the same\n"
	        "port is used on both sides, without QUBE the policy chooses.\n"
	        "  -f, --foreground       stay; the default is to run in the background\n"
	        "  -s, --service=SERVICE  call this instead of qubes.ConnectTCP+REMOTE\n");
	return status;
}

/* LOCAL:QUBE:REMOTE in its parts; what is left out is filled in. */
static int parse(char *text, const char *service, struct forward *out, long *ret_port)
{
	static char connect[64];
	char *target = strchr(text, ':');
	char *remote = target ? strchr(target + 1, ':') : NULL;
	long port = 0;

	if (!target || (service ? remote != NULL : !remote))
		return -1;
	*target++ = '\0';
	if (remote) {
		*remote++ = '\0';
		if (number_parse(remote, 1, 65535, &port))
			return -1;
		(void)snprintf(connect, sizeof(connect), "qubes.ConnectTCP+%ld", port);
		service = connect;
	}
	out->target = *target ? target : "@default";
	out->service = service;
	*ret_port = port;
	if (*text == '/' && !remote)
		return 0;
	if (*text && number_parse(text, 1, 65535, ret_port))
		return -1;
	return *ret_port == 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"foreground", no_argument, NULL, 'f'},
	                                        {"service", required_argument, NULL, 's'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {"version", no_argument, NULL, 'V'},
	                                        {0}};
	struct forward forward = {.listener = LOOP_FD_EMPTY};
	const char *service = NULL;
	bool foreground = false;
	int listener;
	long port;
	int c;

	log_init("qvm-connect-tcp");
	while ((c = getopt_long(argc, argv, "+fs:h", options, NULL)) != -1) {
		if (c == 'f')
			foreground = true;
		else if (c == 's')
			service = optarg;
		else if (c == 'V')
			return puts("qvm-connect-tcp " SKERRY_VERSION) < 0;
		else
			return c == 'h' ? usage(stdout, 0) : usage(stderr, 2);
	}
	if (optind + 1 != argc || parse(argv[optind], service, &forward, &port))
		return usage(stderr, 2);
	listener = port ? listen_local(port) : listen_unix(argv[optind]);
	if (listener < 0)
		return 1;
	if (port)
		(void)printf("127.0.0.1:%ld", port);
	else
		(void)printf("%s", argv[optind]);
	(void)printf(" leads to %s, %s\n", forward.target, forward.service);
	(void)fflush(stdout);
	if (!foreground && go_to_background()) {
		LOG_ERRNO("start");
		return 1;
	}
	return serve(&forward, listener);
}
