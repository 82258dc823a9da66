/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of services in qubes that the admin service asks for: qrexec-client with a bounded input, its
 * output thrown away, a limit of time. What the service says never comes here.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "monitor/monitor.h"

struct call {
	struct call *next;
	struct monitor *monitor;
	uint32_t serial; /* of the admin service; 0: it has ended */
	struct proc proc;
	struct loop_timer limit;
	bool late;
};

static void free_call(struct call *call)
{
	struct monitor *m = call->monitor;
	struct call **at = &m->calls;

	while (*at && *at != call)
		at = &(*at)->next;
	if (*at)
		*at = call->next;
	m->n_calls--;
	loop_timer_clear(m->loop, &call->limit);
	free(call);
}

static void on_end(void *arg, int wait_status)
{
	struct call *call = arg;
	struct monitor *m = call->monitor;

	if (call->late)
		admin_failed(m, call->serial, 0, MONITOR_E_TIMEOUT, 0,
		             "the service did not end in time");
	else
		admin_done(m, call->serial, 0, monitor_exit_status(wait_status));
	free_call(call);
	if (m->stopping)
		stop_go_on(m);
}

static void on_late(void *arg)
{
	struct call *call = arg;

	call->late = true;
	proc_signal(&call->proc, SIGKILL);
}

static int make_input(const struct monitor_call *c)
{
	OWNED_FD int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, c->input, c->input_len) || lseek(fd, 0, SEEK_SET))
		return -1;
	return fd_take(&fd);
}

static int start(struct call *call, const struct monitor_call *c)
{
	OWNED_FD int input = make_input(c);
	char command[MONITOR_USER_LEN + MONITOR_SERVICE_LEN + MONITOR_NAME_LEN + 16];
	const char *env[CHANNELS_ENV_MAX + 1] = {NULL};
	const char *const args[] = {"-d", c->name, command, NULL};
	struct process_start s = {.id = PROCESS_CALL,
	                          .args = args,
	                          .env = env,
	                          .stdin_fd = input,
	                          .fds = {-1, -1, -1, -1}};

	(void)snprintf(command, sizeof(command), "%s:QUBESRPC %s %s", c->user, c->service,
	               c->source);
	if (input < 0 || channels_env(call->monitor, env) < 0)
		return -1;
	return process_start(call->monitor->loop, call->monitor->records, &s, &call->proc, on_end,
	                     call);
}

void answer_call(struct monitor *m, const struct monitor_message *request)
{
	struct call *call = m->n_calls < CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;

	if (!call) {
		admin_failed(m, request->serial, 0, MONITOR_E_LIMIT, 0, "too many calls at once");
		return;
	}
	call->monitor = m;
	call->proc = (struct proc)PROC_EMPTY;
	call->serial = request->serial;
	call->next = m->calls;
	m->calls = call;
	m->n_calls++;
	if (start(call, &request->call)) {
		admin_failed(m, call->serial, 0, MONITOR_E_PROGRAM, 0,
		             "qrexec-client cannot be started");
		free_call(call);
		return;
	}
	if (loop_timer_set(m->loop, &call->limit, request->call.timeout_ms, on_late, call))
		on_late(call);
}

/* Who asked has ended. */
void calls_drop(struct monitor *m)
{
	for (struct call *call = m->calls; call; call = call->next) {
		call->serial = 0;
		proc_signal(&call->proc, SIGKILL);
	}
}
