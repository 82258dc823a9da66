/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/runner_link.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "slices/qrexec/starts.h"

#define RUNNER_ENDS_MAX 64 /* ends taken a turn; chosen */

void runner_link_stop(struct keeper *k)
{
	loop_fd_remove(k->loop, &k->runner.source);
	k->runner.fd = fd_close(k->runner.fd);
	k->runner.n_running = 0;
}

/* One that closed its end or broke the protocol has no duty left. */
static void end_process(struct keeper *k)
{
	pid_t pid = k->runner.child.pid;

	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	loop_child_remove(k->loop, &k->runner.child);
}

static void on_runner(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	uint8_t byte[2];

	(void)events;
	for (int i = 0; i < RUNNER_ENDS_MAX; i++) {
		ssize_t n = recv(k->runner.fd, byte, sizeof(byte), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != 1 || byte[0] != 0 || k->runner.n_running == 0) {
			LOG("the runner of dom0 services is gone%s, with %u services",
			    n > 0 ? ": it said what it may not" : "", k->runner.n_running);
			runner_link_stop(k);
			end_process(k);
			return;
		}
		k->runner.n_running--;
	}
}

static void on_runner_exit(void *arg, int wait_status)
{
	(void)arg;
	if (WIFSIGNALED(wait_status))
		LOG("the runner was killed by signal %d", WTERMSIG(wait_status));
}

static int start_runner(struct keeper *k)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	end_process(k);
	pid = starts_runner(k, pair[1]);
	(void)fd_close(pair[1]);
	if (pid < 0 || loop_child_add(k->loop, &k->runner.child, pid, on_runner_exit, k) ||
	    loop_fd_add(k->loop, &k->runner.source, pair[0], EPOLLIN, on_runner, k)) {
		LOG_ERRNO("starting the runner");
		(void)fd_close(pair[0]);
		return -1;
	}
	k->runner.fd = pair[0];
	k->runner.n_running = 0;
	return 0;
}

int runner_link_run(struct keeper *k, uint32_t port, const char *command)
{
	static uint8_t packet[RUNNER_HEAD_LEN + RUNNER_COMMAND_MAX];
	size_t len = strlen(command) + 1;

	if (len > RUNNER_COMMAND_MAX)
		return -1;
	if (k->runner.n_running >= LIMIT_DOM0_SERVICES) {
		LOG_QUBE(&k->log_limit, "%u dom0 services run for this qube: no more",
		         k->runner.n_running);
		return -1;
	}
	if (k->runner.fd < 0 && start_runner(k))
		return -1;
	le32_put(packet, (uint32_t)k->options->xid);
	le32_put(packet + 4, port);
	memcpy(packet + RUNNER_HEAD_LEN, command, len);
	if (send(k->runner.fd, packet, RUNNER_HEAD_LEN + len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -1;
	k->runner.n_running++;
	return 0;
}
