/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other side of the pool: the spawner, and a worker. A worker runs one program at a time, with
 * its data channel, in a loop of its own; a slow one holds nobody up. When the agent is gone, the
 * call that runs is finished first.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/run.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/trace/trace.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"
#include "qube/agent/pool_internal.h"
#include "qube/agent/user.h"

#define PAUSE_MS 10 /* of the spawner after a failure; chosen */

struct worker_state {
	struct loop *loop;
	int sock;
	struct loop_fd watch;
	struct run *run;
	struct user user; /* of the call */
	bool agent_gone;
	union {
		struct pool_job job;
		char bytes[sizeof(struct pool_job) + POOL_LINE_MAX];
	} message;
};

static void on_job(void *arg, uint32_t events);

static void watch_jobs(struct worker_state *w)
{
	if (loop_fd_add(w->loop, &w->watch, w->sock, EPOLLIN, on_job, w))
		loop_stop(w->loop, 1);
}

static void report(struct worker_state *w)
{
	if (w->agent_gone || send(w->sock, "d", 1, MSG_NOSIGNAL) != 1)
		loop_stop(w->loop, 0);
}

static void on_run_done(void *arg, int status)
{
	struct worker_state *w = arg;

	(void)status;
	w->run = NULL;
	report(w);
}

static int start(struct worker_state *w, const struct pool_job *job, const char *line)
{
	struct service_command command;
	struct vchan_config channel;
	struct run_config config = {
	        .early = &channel,
	        .just_exec = job->just_exec,
	        .status = job->status,
	        .command = &command,
	        .found = job->has_found ? &job->found : NULL,
	        .open_ms = deadline_ms(AGENT_CHANNEL_MS),
	        .shell = job->shell[0] ? job->shell : NULL,
	        .done = on_run_done,
	        .arg = w,
	};
	int r;

	if (vchan_config_from_env(&channel))
		return -1;
	channel.peer = (int)job->domain;
	channel.port = (int)job->port;
	channel.read_min = channel.write_min = QREXEC_DATA_MAX;
	config.trace_call = trace_call_id((uint32_t)channel.own, job->domain, job->port);
	r = service_parse(line, false, &command);
	if (r && !config.status)
		config.status = r;
	if (user_prepare(&w->user, job->user, &command)) {
		config.start = user_start;
		config.start_arg = &w->user;
	}
	r = run_start(w->loop, NULL, &config, &w->run);
	service_command_fini(&command);
	return r;
}

static void on_job(void *arg, uint32_t events)
{
	struct worker_state *w = arg;
	ssize_t n = recv(w->sock, &w->message, sizeof(w->message), MSG_DONTWAIT);
	size_t len = n > 0 ? (size_t)n : 0;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= sizeof(w->message.job) || w->message.bytes[len - 1] != '\0' || w->run) {
		w->agent_gone = true;
		loop_fd_remove(w->loop, &w->watch);
		if (!w->run)
			loop_stop(w->loop, 0);
		return;
	}
	if (start(w, &w->message.job, w->message.bytes + sizeof(w->message.job))) {
		LOG_ERRNO("a call to domain %u, port %u cannot begin", w->message.job.domain,
		          w->message.job.port);
		report(w);
	}
}

static void on_usr1(void *arg, int signo, pid_t sender)
{
	struct worker_state *w = arg;

	(void)signo;
	(void)sender;
	if (w->run)
		run_use_stdin_socket(w->run);
}

void worker_main(int sock)
{
	struct worker_state *w = calloc(1, sizeof(*w));
	int r = 1;

	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	if (w) {
		w->sock = sock;
		w->watch = (struct loop_fd)LOOP_FD_EMPTY;
		w->loop = loop_new();
	}
	if (w && w->loop && loop_signal_add(w->loop, SIGUSR1, on_usr1, w) == 0) {
		watch_jobs(w);
		r = loop_run(w->loop);
		(void)loop_free(w->loop);
	}
	free(w);
	_exit(r);
}

void spawner_main(int sock)
{
	/* Workers are nobody's to wait for: their end shows on their socket. */
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;
		char byte;
		ssize_t n;
		pid_t pid;

		n = fd_recv_message(sock, &byte, 1, fds, &n_fds);
		if (n == 0)
			_exit(0);
		if (n < 0 || n_fds != 1) {
			/* Short of memory or descriptors: this worker fails, the next one may not. */
			LOG_ERRNO("a request for a worker");
			while (n_fds > 0)
				(void)fd_close(fds[--n_fds]);
			(void)poll(NULL, 0, PAUSE_MS);
			continue;
		}
		pid = fork();
		if (pid == 0) {
			(void)fd_close(sock);
			worker_main(fds[0]);
		}
		if (pid < 0)
			LOG_ERRNO("no worker can be started");
		(void)fd_close(fds[0]);
	}
}
