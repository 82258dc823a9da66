/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See starts.h. Everything up to take_order() runs in a child of the starter. */
#include "slices/qrexec/starts.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/qrexec.h"
#include "slices/qrexec/request.h"

#define SLICE_FD  3 /* the slice's end of the pair, in the slice */
#define RUNNER_FD 3 /* the runner's end of the pair, in the runner */

enum { START_SLICE = 1, START_RUNNER, START_POLICY };

struct order {
	uint32_t kind;
	char target[QREXEC_TARGET_LEN]; /* START_POLICY: both NUL-terminated */
	char name[QREXEC_NAME_MAX];
};

static const char *const slice_places[] = {
        "skerry-qrexec-slice",
        "../libexec/skerry/skerry-qrexec-slice",
        "../lib/skerry/skerry-qrexec-slice",
        NULL,
};

static const char *const runner_places[] = {
        "skerry-qrexec-runner",
        "../libexec/skerry/skerry-qrexec-runner",
        "../lib/skerry/skerry-qrexec-runner",
        NULL,
};

/*
 * No environment: nothing of dom0's is there to be read. Builds for tests hand on the variables that
 * name an attack or shorten the limits; no other build has their names.
 */
static char **slice_environment(void)
{
	static char *env[4];

#if SKERRY_ATTACK || SKERRY_TEST_LIMITS
	static char text[3][1024];
	static const char *const names[3] = {"SKERRY_ATTACK", "SKERRY_ATTACK_WORLD",
	                                     "SKERRY_TEST_LIMIT_DIVISOR"};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (!value)
			continue;
		(void)snprintf(text[i], sizeof(text[i]), "%s=%s", names[i], value);
		env[n++] = text[i];
	}
#endif
	return env;
}

/* The slice gets its pair, the log, nothing else. */
NORETURN static void become_slice(int sock)
{
	static const char *const argv[] = {"skerry-qrexec-slice", NULL};
	char path[PATH_MAX];

	keeper_child_reset();
	/* It has nothing to do without us, however its code was changed. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (path_program(path, sizeof(path), slice_places)) {
		LOG_ERRNO("skerry-qrexec-slice");
		_exit(QREXEC_EXIT_PROBLEM);
	}
	if (dup2(sock, SLICE_FD) < 0 || fd_set_cloexec(SLICE_FD, false))
		_exit(QREXEC_EXIT_PROBLEM);
	fd_close_from(SLICE_FD + 1, NULL, 0);
	(void)execve(path, (char *const *)(uintptr_t)argv, slice_environment());
	LOG_ERRNO("%s", path);
	_exit(QREXEC_EXIT_PROBLEM);
}

/* It runs services as they expect to be run: with our environment, in the socket folder. */
NORETURN static void become_runner(const struct keeper_options *options, int sock)
{
	static const char *const argv[] = {"skerry-qrexec-runner", NULL};
	char path[PATH_MAX];

	keeper_child_reset();
	if (path_program(path, sizeof(path), runner_places)) {
		LOG_ERRNO("skerry-qrexec-runner");
		_exit(QREXEC_EXIT_PROBLEM);
	}
	if (chdir(options->socket_dir) || dup2(sock, RUNNER_FD) < 0 ||
	    fd_set_cloexec(RUNNER_FD, false))
		_exit(QREXEC_EXIT_PROBLEM);
	fd_close_from(RUNNER_FD + 1, NULL, 0);
	(void)execv(path, (char *const *)(uintptr_t)argv);
	LOG_ERRNO("%s", path);
	_exit(QREXEC_EXIT_PROBLEM);
}

NORETURN static void become_program(const struct keeper_options *options, const char *target,
                                    const char *name, int sock)
{
	const char *path = options->policy_program;
	const char *argv[] = {"qrexec-policy-exec", "--", options->name, target, name, NULL};

	keeper_child_reset();
	if (dup2(sock, 0) < 0 || dup2(sock, 1) < 0)
		_exit(QREXEC_EXIT_PROBLEM);
	fd_close_from(3, NULL, 0);
	(void)execv(path, (char *const *)(uintptr_t)argv);
	LOG_ERRNO("%s", path);
	_exit(QREXEC_EXIT_PROBLEM);
}

static void take_order(void *arg, const void *untrusted_request, size_t len, const int *fds,
                       size_t n_fds)
{
	const struct keeper_options *options = arg;
	const struct order *untrusted = untrusted_request;
	size_t head = offsetof(struct order, name);

	if (n_fds != 1 || len < head || len > sizeof(*untrusted))
		_exit(QREXEC_EXIT_PROBLEM);
	if (untrusted->kind == START_SLICE)
		become_slice(fds[0]);
	if (untrusted->kind == START_RUNNER)
		become_runner(options, fds[0]);
	/* Words of the qube, as the program has always been given them; here: that they end. */
	if (untrusted->kind == START_POLICY && options->policy_program && len > head &&
	    memchr(untrusted->target, '\0', sizeof(untrusted->target)) &&
	    untrusted->name[len - head - 1] == '\0')
		become_program(options, untrusted->target, untrusted->name, fds[0]);
	_exit(QREXEC_EXIT_PROBLEM);
}

int starts_open(struct keeper *k)
{
	return starter_open(&k->starter, take_order, NULL, (void *)(uintptr_t)k->options);
}

void starts_close(struct keeper *k)
{
	starter_close(&k->starter, k->loop);
}

/* Not on the stack, for its size. */
static struct order o;

static pid_t send_order(const struct keeper *k, uint32_t kind, size_t name_len, int sock)
{
	o.kind = kind;
	return starter_run(&k->starter, &o, offsetof(struct order, name) + name_len, &sock, 1);
}

pid_t starts_slice(const struct keeper *k, int sock)
{
	return send_order(k, START_SLICE, 0, sock);
}

pid_t starts_runner(const struct keeper *k, int sock)
{
	return send_order(k, START_RUNNER, 0, sock);
}

pid_t starts_policy(const struct request *r, int sock)
{
	size_t len = strlen(r->name) + 1;

	if (len > sizeof(o.name) || strlen(r->target) >= sizeof(o.target)) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(o.target, r->target, strlen(r->target) + 1);
	memcpy(o.name, r->name, len);
	return send_order(r->k, START_POLICY, len, sock);
}
