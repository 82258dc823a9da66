/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.Gpg, in the qube that has the keys: runs gpg with arguments that another qube chose, after they
 * were checked and the user agreed. Source: doc/protocol/services.md, Gpg.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "proto/services/gpg.h"
#include "qube/services/gpg_mux.h"

#define ACCEPT_S 300  /* how long a consent lasts by default; protocol */
#define ABOVE    1100 /* descriptors of ours while gpg's get their numbers: above GPG_FD_MAX */
#define STATE    "/run/qubes-gpg-split"
#define CONFIRM  "/usr/lib/qubes/gpg-confirm"

static struct gpg_request request;

static int state_file(const char *source, char path[PATH_MAX])
{
	char name[64];

	(void)snprintf(name, sizeof(name), "stat.%s", source);
	return path_make(path, PATH_MAX, STATE, name);
}

static bool was_accepted(const char *path)
{
	const char *text = getenv("QUBES_GPG_AUTOACCEPT");
	long seconds = text ? strtol(text, NULL, 10) : ACCEPT_S;
	struct stat st;
	struct timespec now;

	if (stat(path, &st) || clock_gettime(CLOCK_REALTIME, &now))
		return false;
	return st.st_mtime <= now.tv_sec && now.tv_sec - st.st_mtime < seconds;
}

/* The user of this qube is asked by a program of the desktop; without one the answer is no. */
static int ask_user(const char *source)
{
	char path[PATH_MAX];
	pid_t pid;
	int status;

	if (path_make(path, sizeof(path), CONFIRM, NULL))
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(path, "gpg-confirm", source, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int consent(const char *source)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];
	OWNED_FD int fd = -1;

	if (path_make(folder, sizeof(folder), STATE, NULL) || state_file(source, path))
		return -1;
	if (was_accepted(path))
		return 0;
	if (ask_user(source))
		return -1;
	if (mkdir(folder, 0700) && errno != EEXIST)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -1 : 0;
}

static int read_request(void)
{
	uint8_t untrusted_block[GPG_BLOCK];
	enum gpg_result r;
	size_t at = 0;

	if (fd_read_all(STDIN_FILENO, untrusted_block, sizeof(untrusted_block))) {
		LOG_ERRNO("the request");
		return -1;
	}
	r = gpg_request_decode(untrusted_block, &request);
	if (r == GPG_OK)
		r = gpg_request_check(&request, &at);
	if (r == GPG_OK)
		return 0;
	LOG("refused: %s: argument %zu: %s", gpg_error(r), at + 1,
	    at < request.n ? request.args[at] : "");
	return -1;
}

struct pipes {
	int ours[GPG_FDS_MAX];
	int theirs[GPG_FDS_MAX]; /* numbers above ABOVE */
};

/* @inputs: gpg reads from its ends. */
static int make_pipes(struct pipes *pipes, size_t n, bool inputs)
{
	for (size_t i = 0; i < n; i++) {
		int ends[2];
		int theirs;

		if (pipe2(ends, O_CLOEXEC))
			return -1;
		theirs = fcntl(ends[!inputs], F_DUPFD_CLOEXEC, ABOVE);
		(void)close(ends[!inputs]);
		pipes->ours[i] = fcntl(ends[inputs], F_DUPFD_CLOEXEC, ABOVE);
		(void)close(ends[inputs]);
		pipes->theirs[i] = theirs;
		if (theirs < 0 || pipes->ours[i] < 0)
			return -1;
	}
	return 0;
}

/* gpg's descriptors get the numbers that its arguments name; nothing else is open in it. */
static void become_gpg(const struct pipes *in, const struct pipes *out)
{
	static const char *argv[GPG_ARGS_MAX + 8] = {"gpg",
	                                             "--no-tty",
	                                             "--disable-dirmngr",
	                                             "--photo-viewer=/bin/true",
	                                             "--batch",
	                                             "--exit-on-status-write-error"};
	size_t n = 6;

	for (size_t i = 0; i < request.n_inputs; i++) {
		if (dup2(in->theirs[i], request.inputs[i]) < 0)
			_exit(126);
	}
	for (size_t i = 0; i < request.n_outputs; i++) {
		if (dup2(out->theirs[i], request.outputs[i]) < 0)
			_exit(126);
	}
	for (size_t i = 0; i < request.n; i++)
		argv[n++] = request.args[i];
	(void)signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int run(void)
{
	struct gpg_mux mux = {.net_in = STDIN_FILENO,
	                      .net_out = STDOUT_FILENO,
	                      .ends_with_sources = true};
	struct rlimit files;
	struct pipes in;
	struct pipes out;
	int status;
	pid_t pid;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * ABOVE) {
		files.rlim_cur = MIN((rlim_t)(2 * ABOVE), files.rlim_max);
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (make_pipes(&in, request.n_inputs, true) || make_pipes(&out, request.n_outputs, false)) {
		LOG_ERRNO("pipes");
		return 1;
	}
	pid = fork();
	if (pid < 0) {
		LOG_ERRNO("fork");
		return 1;
	}
	if (pid == 0)
		become_gpg(&in, &out);
	mux.n_sinks = request.n_inputs;
	mux.n_sources = request.n_outputs;
	memcpy(mux.sinks, in.ours, sizeof(mux.sinks));
	memcpy(mux.sources, out.ours, sizeof(mux.sources));
	for (size_t i = 0; i < request.n_inputs; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): as many as were made */
		(void)close(in.theirs[i]);
	for (size_t i = 0; i < request.n_outputs; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): as many as were made */
		(void)close(out.theirs[i]);
	if (gpg_mux_run(&mux)) {
		LOG_ERRNO("the other qube");
		(void)kill(pid, SIGTERM);
	}
	for (size_t i = 0; i < mux.n_sinks; i++)
		(void)fd_close(mux.sinks[i]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
	return gpg_mux_send_status(&mux, status) ? 1 : 0;
}

int main(void)
{
	const char *source = getenv("QREXEC_REMOTE_DOMAIN");

	log_init("qubes.Gpg");
	(void)signal(SIGPIPE, SIG_IGN);
	if (!source ||
	    untrusted_qube_name_check(source, strlen(source)) != UNTRUSTED_QUBE_NAME_OK) {
		LOG("QREXEC_REMOTE_DOMAIN is not set: this is a service");
		return 2;
	}
	if (read_request())
		return 1;
	if (consent(source)) {
		LOG("%s may not use the keys of this qube", source);
		return 1;
	}
	return run();
}
