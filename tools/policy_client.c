/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/policy_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_LEN   200U                /* of a file; the service's */
#define OUT_MAX    ((size_t)64U << 20) /* bytes of an answer; chosen */

extern char **environ;

/* One call under way. */
struct running {
	pid_t pid;
	int in; /* -1: all is written */
	int out;
	int err;
	const char *payload;
	size_t left;
};

int policy_file_parse(const char *text, struct policy_file *out)
{
	static const char folder[] = "include/";

	out->include = strncmp(text, folder, sizeof(folder) - 1) == 0;
	out->name = text + (out->include ? sizeof(folder) - 1 : 0);
	if (strlen(out->name) <= NAME_LEN && out->name[strspn(out->name, NAME_CHARS)] == '\0')
		return 0;
	fprintf(stderr,
	        "%s: not the name of a policy file: [include/] and letters, digits, _ and -, "
	        "without .policy\n",
	        text);
	return -1;
}

/* dom0 is where qubesd answers, or what says of itself that it is. */
static bool in_dom0(void)
{
	static const char *const signs[] = {"/etc/qubes-release", "/run/qubesd.sock"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		if (path_make(path, sizeof(path), signs[i], NULL) == 0 && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static void make_service(char *dst, size_t len, const char *method, const struct policy_file *file)
{
	(void)snprintf(dst, len, "policy.%s%s%s%s", file->include ? "include." : "", method,
	               file->name[0] ? "+" : "", file->name);
}

static int spawn(const char *service, const int pipes[3][2], pid_t *ret_pid)
{
	char command[NAME_LEN + 128];
	char *dom0_argv[] = {(char[]){"qrexec-client"}, (char[]){"-d"}, (char[]){"dom0"}, command,
	                     NULL};
	char *qube_argv[] = {(char[]){"qrexec-client-vm"}, (char[]){"--"}, (char[]){"dom0"},
	                     (char *)(uintptr_t)service, NULL};
	char **argv = in_dom0() ? dom0_argv : qube_argv;
	const char *const places[] = {argv[0], NULL};
	char beside[PATH_MAX];
	posix_spawn_file_actions_t actions;
	int r;

	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
	if (posix_spawn_file_actions_init(&actions)) {
		errno = ENOMEM;
		return -1;
	}
	r = posix_spawn_file_actions_adddup2(&actions, pipes[0][0], STDIN_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, pipes[2][1], STDERR_FILENO);
	if (!r)
		r = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
	/* Not where programs are looked for: then where this one is. */
	if (r == ENOENT && path_program(beside, sizeof(beside), places) == 0)
		r = posix_spawn(ret_pid, beside, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (!r)
		return 0;
	fprintf(stderr, "%s: %s\n", argv[0], strerror(r));
	return -1;
}

static void close_pipes(int pipes[3][2])
{
	for (int i = 0; i < 3; i++) {
		pipes[i][0] = fd_close(pipes[i][0]);
		pipes[i][1] = fd_close(pipes[i][1]);
	}
}

static int start(const char *service, struct running *run)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};

	for (int i = 0; i < 3; i++) {
		if (pipe2(pipes[i], O_CLOEXEC) < 0) {
			perror("pipe");
			close_pipes(pipes);
			return -1;
		}
	}
	if (fcntl(pipes[0][1], F_SETFL, O_NONBLOCK) < 0 || spawn(service, pipes, &run->pid)) {
		close_pipes(pipes);
		return -1;
	}
	run->in = fd_take(&pipes[0][1]);
	run->out = fd_take(&pipes[1][0]);
	run->err = fd_take(&pipes[2][0]);
	close_pipes(pipes);
	return 0;
}

/* Its end is no fault: who refuses early need not read everything. */
static void write_some(struct running *run)
{
	ssize_t n = run->left > 0 ? write(run->in, run->payload, run->left) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	run->payload += n > 0 ? n : 0;
	run->left = n > 0 ? run->left - (size_t)n : 0;
	if (run->left == 0)
		run->in = fd_close(run->in);
}

/* 0, or -1 with errno. */
static int read_out(struct running *run, struct policy_reply *reply)
{
	char bytes[16384];
	ssize_t n = read(run->out, bytes, sizeof(bytes));
	char *grown;

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	if (n == 0) {
		run->out = fd_close(run->out);
		return 0;
	}
	if (reply->out_len + (size_t)n > OUT_MAX) {
		errno = EFBIG;
		return -1;
	}
	grown = realloc(reply->out, reply->out_len + (size_t)n + 1);
	if (!grown)
		return -1;
	memcpy(grown + reply->out_len, bytes, (size_t)n);
	reply->out = grown;
	reply->out_len += (size_t)n;
	grown[reply->out_len] = '\0';
	return 0;
}

static int read_err(struct running *run, struct policy_reply *reply)
{
	char bytes[POLICY_ERROR_MAX];
	size_t len = strlen(reply->error);
	ssize_t n = read(run->err, bytes, sizeof(bytes));

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	if (n == 0)
		run->err = fd_close(run->err);
	for (ssize_t i = 0; i < n && len < sizeof(reply->error) - 1; i++)
		reply->error[len++] = bytes[i] ? bytes[i] : ' ';
	reply->error[len] = '\0';
	return 0;
}

static int exchange(struct running *run, struct policy_reply *reply)
{
	while (run->in >= 0 || run->out >= 0 || run->err >= 0) {
		struct pollfd fds[] = {{.fd = run->in, .events = POLLOUT},
		                       {.fd = run->out, .events = POLLIN},
		                       {.fd = run->err, .events = POLLIN}};

		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return -1;
		if (fds[0].revents)
			write_some(run);
		if ((fds[1].revents && read_out(run, reply)) ||
		    (fds[2].revents && read_err(run, reply)))
			return -1;
	}
	return 0;
}

int policy_call(const char *method, const struct policy_file *file, const char *payload, size_t len,
                struct policy_reply *out)
{
	struct running run = {.payload = payload, .left = len};
	char service[NAME_LEN + 64];
	int status = 0;
	int r;

	*out = (struct policy_reply){.out = calloc(1, 1)};
	make_service(service, sizeof(service), method, file);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!out->out || start(service, &run))
		return -1;
	r = exchange(&run, out);
	if (r) {
		fprintf(stderr, "%s: %s\n", service, strerror(errno));
		(void)kill(run.pid, SIGTERM);
	}
	(void)fd_close(run.in);
	(void)fd_close(run.out);
	(void)fd_close(run.err);
	while (waitpid(run.pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	out->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return r;
}

void policy_reply_fini(struct policy_reply *reply)
{
	free(reply->out);
	reply->out = NULL;
}

bool policy_reply_is(const struct policy_reply *reply, const char *class)
{
	size_t len = strlen(class);

	return strncmp(reply->error, class, len) == 0 &&
	       (reply->error[len] == ' ' || reply->error[len] == '\n');
}

void policy_reply_show(const struct policy_reply *reply, const char *method,
                       const struct policy_file *file)
{
	size_t len = strlen(reply->error);
	char service[NAME_LEN + 64];

	if (len > 0) {
		fprintf(stderr, "%s%s", reply->error, reply->error[len - 1] == '\n' ? "" : "\n");
		return;
	}
	make_service(service, sizeof(service), method, file);
	if (reply->status == 126)
		fprintf(stderr, "%s: refused by policy\n", service);
	else
		fprintf(stderr,
		        "%s: failed with status %d; "
		        "/var/log/qubes/policy-admin.log in dom0 says why\n",
		        service, reply->status);
}

const char *policy_reply_content(struct policy_reply *reply, const char **ret_token,
                                 size_t *ret_len)
{
	char *newline = memchr(reply->out, '\n', reply->out_len);

	if (!newline || strncmp(reply->out, "sha256:", 7) != 0)
		return NULL;
	*newline = '\0';
	*ret_token = reply->out;
	*ret_len = reply->out_len - (size_t)(newline + 1 - reply->out);
	return newline + 1;
}
