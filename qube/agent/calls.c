/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services that dom0 wants run. Socket and TCP services, and calls that only report a failure, live
 * in the agent's own loop; programs go to the fork server of the user's session if there is one,
 * else to a worker. Every call ends in one CONNECTION_TERMINATED.
 * Source: doc/protocol/qrexec.md, sections 10 and 11.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/run.h"
#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/trace/trace.h"
#include "qube/agent/agent.h"
#include "qube/agent/fork_server.h"
#include "qube/agent/user.h"

struct call {
	struct call *next; /* of all calls of the agent */
	struct call *prev;
	struct agent *agent;
	uint32_t domain;
	uint32_t port;
	bool just_exec;
	struct service_command command;
	struct pool_job job;
	struct session_waiter waiter;
	struct run *run;
	struct loop_fd fork_server; /* the connection's end is the call's */
};

static void call_over(struct call *call)
{
	struct agent *agent = call->agent;
	int fd = call->fork_server.fd;

	if (call->next)
		call->next->prev = call->prev;
	if (call->prev)
		call->prev->next = call->next;
	else
		agent->calls = call->next;
	loop_fd_remove(agent->loop, &call->fork_server);
	(void)fd_close(fd);
	control_send_terminated(agent, call->domain, call->port);
	service_command_fini(&call->command);
	free(call);
	if (agent->leaving && agent->n_inline == 0)
		loop_stop(agent->loop, 0);
}

/* In this process. */

static void on_run_done(void *arg, int status)
{
	struct call *call = arg;

	(void)status;
	call->agent->n_inline--;
	call_over(call);
}

static int start_run(struct call *call)
{
	struct vchan_config channel;
	struct run_config config = {
	        .early = &channel,
	        .just_exec = call->just_exec,
	        .status = call->job.status,
	        .command = &call->command,
	        .found = call->job.has_found ? &call->job.found : NULL,
	        .open_ms = deadline_ms(AGENT_CHANNEL_MS),
	        .done = on_run_done,
	        .arg = call,
	};

	if (vchan_config_from_env(&channel))
		return -1;
	channel.peer = (int)call->domain;
	channel.port = (int)call->port;
	channel.read_min = channel.write_min = QREXEC_DATA_MAX;
	config.trace_call = trace_call_id((uint32_t)channel.own, call->domain, call->port);
	if (run_start(call->agent->loop, NULL, &config, &call->run))
		return -1;
	call->agent->n_inline++;
	return 0;
}

static void run_inline(struct call *call)
{
	if (start_run(call)) {
		LOG_ERRNO("a call to domain %u, port %u cannot begin", call->domain, call->port);
		call_over(call);
	}
}

/* The fork server. */

static void on_fork_server(void *arg, uint32_t events)
{
	struct call *call = arg;
	char junk[64];
	ssize_t n = recv(call->fork_server.fd, junk, sizeof(junk), MSG_DONTWAIT);

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		call_over(call);
}

static bool wants_fork_server(const struct call *call)
{
	const struct service_settings *settings = &call->job.found.settings;

	return call->agent->fork_server_format && !call->job.status && !call->command.nogui &&
	       !settings->skip_descriptor && !settings->exit_on_client_eof &&
	       !settings->exit_on_service_eof;
}

static bool try_fork_server(struct call *call)
{
	int fd;

	if (!wants_fork_server(call))
		return false;
	fd = fork_server_call(call->agent->fork_server_format, call->job.user, call->just_exec,
	                      call->domain, call->port, call->command.command);
	if (fd < 0)
		return false;
	if (loop_fd_add(call->agent->loop, &call->fork_server, fd, EPOLLIN, on_fork_server, call)) {
		LOG_ERRNO("watching the fork server");
		(void)fd_close(fd);
		call_over(call);
	}
	return true;
}

/* A worker. */

static void on_pool_done(void *arg)
{
	call_over(arg);
}

static void dispatch(void *arg)
{
	struct call *call = arg;
	struct pool_job *job = &call->job;

	if (job->status || (job->has_found && job->found.kind != SERVICE_EXECUTABLE)) {
		run_inline(call);
		return;
	}
	if (try_fork_server(call))
		return;
	if (!user_is_own(job->user)) {
		LOG("an agent that is not root cannot run anything as %s", job->user);
		job->status = QREXEC_EXIT_PROBLEM;
		run_inline(call);
		return;
	}
	if (pool_run(call->agent->pool, job, call->command.line, on_pool_done, call)) {
		LOG_ERRNO("no worker for a call");
		job->status = QREXEC_EXIT_PROBLEM;
		run_inline(call);
	}
}

/* What is to be run. */

static void judge(struct call *call, const char *line)
{
	struct pool_job *job = &call->job;

	job->domain = call->domain;
	job->port = call->port;
	job->just_exec = call->just_exec;
	job->status = service_parse(line, false, &call->command);
	if (job->status)
		return;
	(void)bytes_copy_text(job->user, sizeof(job->user), call->command.user);
	if (!call->command.is_rpc)
		return;
	job->status = service_find(&call->command, NULL, NULL, &job->found);
	job->has_found = job->status == 0;
	if (job->found.settings.force_user[0])
		(void)bytes_copy_text(job->user, sizeof(job->user), job->found.settings.force_user);
}

void calls_start(struct agent *agent, bool just_exec, uint32_t domain, uint32_t port,
                 const char *line)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		LOG("no memory for a call");
		control_send_terminated(agent, domain, port);
		return;
	}
	call->next = agent->calls;
	if (agent->calls)
		agent->calls->prev = call;
	agent->calls = call;
	call->agent = agent;
	call->domain = domain;
	call->port = port;
	call->just_exec = just_exec;
	call->fork_server = (struct loop_fd)LOOP_FD_EMPTY;
	judge(call, line);
	if (!call->job.status && call->command.is_rpc &&
	    call->job.found.settings.wait_for_session && !call->command.nogui) {
		call->waiter.run = dispatch;
		call->waiter.arg = call;
		session_wait(agent, &call->waiter, call->job.user, call->command.source);
	} else {
		dispatch(call);
	}
}
