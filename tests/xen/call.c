/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A qrexec call from dom0 into a qube, by the real programs: daemon, slice and client here, the agent there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/xen/drive.h"
#include "tests/xen/tap.h"

#define DAEMON "/usr/sbin/skerry-qrexec"
#define CLIENT "/usr/bin/qrexec-client"
#define CALLS  20

/* Runs a program with input; its output, up to max bytes; its status. */
static int run(char *const args[], const char *input, char *output, size_t max, size_t *ret_len)
{
	int in[2], out[2], status = -1;
	ssize_t n = 1;
	pid_t pid;

	*ret_len = 0;
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)execv(args[0], args);
		_exit(127);
	}
	(void)fd_close(in[0]);
	(void)fd_close(out[1]);
	if (fd_write_all(in[1], input, strlen(input)))
		perror("input of the call");
	(void)fd_close(in[1]);
	while (n > 0 && *ret_len < max) {
		n = read(out[0], output + *ret_len, max - *ret_len);
		*ret_len += (size_t)MAX(n, (ssize_t)0);
	}
	(void)fd_close(out[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

bool call_start_daemon(int domid, const char *name, const char *patience)
{
	char daemon[] = DAEMON, quiet[] = "-q", u[] = "-u";
	char uuid[40], id[16], name_copy[32], user[] = "root", none[1];
	char *const args[] = {daemon, quiet, u, uuid, id, name_copy, user, NULL};
	size_t len;

	(void)snprintf(id, sizeof(id), "%d", domid);
	(void)snprintf(uuid, sizeof(uuid), "11111111-2222-3333-4444-5555%08d", domid);
	(void)snprintf(name_copy, sizeof(name_copy), "%s", name);
	(void)setenv("QREXEC_STARTUP_TIMEOUT", patience, 1);
	return run(args, "", none, sizeof(none), &len) == 0;
}

bool call_greet(int domid, const char *name)
{
	return call_start_daemon(domid, name, "300");
}

int call_service(const char *name, const char *service, const char *text, char *got, size_t max,
                 size_t *ret_len)
{
	/* Its five seconds are few for a machine without hardware help that others use as well. */
	char client[] = CLIENT, w[] = "-w", patience[] = "300", d[] = "-d", name_copy[32];
	char command[96];
	char *const args[] = {client, w, patience, d, name_copy, command, NULL};

	(void)snprintf(name_copy, sizeof(name_copy), "%s", name);
	(void)snprintf(command, sizeof(command), "root:QUBESRPC %s dom0", service);
	return run(args, text, got, max, ret_len);
}

bool call_once(const char *name, const char *text)
{
	char got[64];
	size_t len;

	return call_service(name, "test.Echo", text, got, sizeof(got), &len) == 0 &&
	       len == strlen(text) && memcmp(got, text, len) == 0;
}

void drive_call(int domid, const char *name)
{
	struct timespec from, to;
	bool good = true;

	if (!tap_result(call_greet(domid, name), "%s: skerry-qrexec greets the agent in the qube",
	                name))
		return;
	if (!tap_result(call_once(name, "hello, qube\n"),
	                "%s: qrexec-client calls a service and gets its answer", name))
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; good && i < CALLS; i++)
		good = call_once(name, "once more");
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	(void)tap_result(good, "%s: %d calls, one after the other", name, CALLS);
	tap_note("bench %s qrexec: %.1f ms a call, with the start of the client", name,
	         ((double)(to.tv_sec - from.tv_sec) * 1e3 +
	          (double)(to.tv_nsec - from.tv_nsec) / 1e6) /
	                 CALLS);
}
