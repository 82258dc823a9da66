/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-gpg-client: gpg whose keys are in another qube, QUBES_GPG_DOMAIN. It takes gpg's arguments, as far
 * as that qube's service lets them through; files are read and written here, through descriptors.
 * qubes-gpg-client-wrapper is the same under a name that mail programs are told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/services/gpg.h"
#include "qube/services/gpg_mux.h"

#define CONFIG                                                                                     \
	"/etc/qubes/gpg-split-domain" /* the qube's name, for those that set no environment */

static struct gpg_request request;

static const char *key_qube(void)
{
	static char name[64];
	const char *env = getenv("QUBES_GPG_DOMAIN");
	OWNED_FD int fd = -1;
	ssize_t n;

	if (env && *env)
		return env;
	fd = open(CONFIG, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (n <= 0)
		return NULL;
	name[n] = '\0';
	name[strcspn(name, " \t\n")] = '\0';
	return *name ? name : NULL;
}

/* A detached signature that is a file here: gpg there reads it from a descriptor. */
static int open_signature(const char **args, size_t n, size_t at, char text[32])
{
	int fd;

	if (at >= n || strncmp(args[at], "/dev/fd/", 8) == 0 || strcmp(args[at], "-") == 0)
		return 0;
	fd = open(args[at], O_RDONLY | O_CLOEXEC);
	if (fd < 3) {
		(void)fprintf(stderr, "qubes-gpg-client: %s: %s\n", args[at], strerror(errno));
		return -1;
	}
	(void)snprintf(text, 32, "/dev/fd/%d", fd);
	args[at] = text;
	return 0;
}

/* gpg --verify SIGNATURE [FILE]: the operands become descriptors. */
static int use_files(const char **args, size_t n)
{
	static char text[32];
	bool verify = false;
	size_t at;

	for (size_t i = 0; i < n; i++)
		verify |= strcmp(args[i], "--verify") == 0;
	if (!verify)
		return 0;
	for (at = n; at > 0 && (args[at - 1][0] != '-' || args[at - 1][1] == '\0'); at--)
		;
	if (at + 2 == n && strcmp(args[at + 1], "-") != 0) {
		OWNED_FD int fd = open(args[at + 1], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
			(void)fprintf(stderr, "qubes-gpg-client: %s: %s\n", args[at + 1],
			              strerror(errno));
			return -1;
		}
		args[at + 1] = "-";
	}
	return open_signature(args, n, at, text);
}

static int encode(int argc, char **argv, uint8_t block[GPG_BLOCK])
{
	const char *args[GPG_ARGS_MAX];
	enum gpg_result r;
	size_t at = 0;
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		if (n == GPG_ARGS_MAX)
			break;
		args[n++] = argv[i];
	}
	if (use_files(args, n))
		return -1;
	if ((size_t)argc - 1 > GPG_ARGS_MAX || gpg_request_encode(args, n, block)) {
		(void)fprintf(stderr, "qubes-gpg-client: too many arguments\n");
		return -1;
	}
	r = gpg_request_decode(block, &request);
	if (r == GPG_OK)
		r = gpg_request_check(&request, &at);
	if (r == GPG_OK)
		return 0;
	(void)fprintf(stderr, "qubes-gpg-client: %s: %s\n", gpg_error(r), at < n ? args[at] : "");
	return -1;
}

static int start_call(const char *qube, int *ret_fd, pid_t *ret_pid)
{
	const char *const argv[] = {"qrexec-client-vm", "--", qube, "qubes.Gpg", NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -1;
	(void)posix_spawn_file_actions_init(&actions);
	error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(ret_pid, argv[0], &actions, NULL,
		                     (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	*ret_fd = ends[0];
	errno = error;
	return error ? -1 : 0;
}

/* The descriptors that gpg would have, at the numbers that the arguments say. */
static int check_descriptors(void)
{
	for (size_t i = 0; i < request.n_inputs + request.n_outputs; i++) {
		int fd = i < request.n_inputs ? request.inputs[i]
		                              : request.outputs[i - request.n_inputs];

		if (fcntl(fd, F_GETFD) < 0) {
			(void)fprintf(stderr, "qubes-gpg-client: descriptor %d is not open\n", fd);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct gpg_mux mux = {.may_end = true};
	uint8_t block[GPG_BLOCK];
	const char *qube = key_qube();
	int status;
	pid_t pid;
	int fd;

	log_init("qubes-gpg-client");
	(void)signal(SIGPIPE, SIG_IGN);
	if (!qube) {
		(void)fprintf(stderr, "qubes-gpg-client: which qube has the keys? set "
		                      "QUBES_GPG_DOMAIN or write its "
		                      "name to " CONFIG "\n");
		return 2;
	}
	if (encode(argc, argv, block) || check_descriptors())
		return 2;
	if (start_call(qube, &fd, &pid)) {
		LOG_ERRNO("qrexec-client-vm");
		return 2;
	}
	mux.net_in = fd;
	mux.net_out = fd;
	mux.n_sources = request.n_inputs;
	mux.n_sinks = request.n_outputs;
	memcpy(mux.sources, request.inputs, sizeof(mux.sources));
	memcpy(mux.sinks, request.outputs, sizeof(mux.sinks));
	status = 2;
	if (fd_write_all(fd, block, sizeof(block)) || gpg_mux_run(&mux))
		(void)fprintf(stderr, "qubes-gpg-client: the call ended before gpg did\n");
	else
		status = mux.status;
	(void)close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return status;
}
