/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wait-for-session: services that want the user's session run after qubes.WaitForSession has ended.
 * One such process serves all that wait. It is given a limit; when that is over, or it fails, the
 * services run all the same, with a line in the log. Source: doc/protocol/qrexec.md, 10.7.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/service.h"
#include "call/spawn.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "qube/agent/agent.h"

#define WAITERS_MAX 256 /* protocol; more run at once */
#define SERVICE     "qubes.WaitForSession"

struct session {
	struct agent *agent;
	struct session_waiter *first;
	struct session_waiter **last;
	size_t n_waiters;
	struct loop_child child;
	struct loop_timer limit;
	int out_fd; /* held so that the service may write */
	bool running;
	bool late; /* it runs, and its limit is over */
};

static void release(struct session *s)
{
	struct session_waiter *waiter = s->first;

	s->running = false;
	s->first = NULL;
	s->last = &s->first;
	s->n_waiters = 0;
	s->out_fd = fd_close(s->out_fd);
	loop_timer_clear(s->agent->loop, &s->limit);
	while (waiter) {
		struct session_waiter *next = waiter->next;

		waiter->run(waiter->arg);
		waiter = next;
	}
}

static void on_ended(void *arg, int wait_status)
{
	if (spawn_status(wait_status))
		LOG(SERVICE " ended with %d; what waited for it runs all the same",
		    spawn_status(wait_status));
	((struct session *)arg)->late = false;
	release(arg);
}

static void on_limit(void *arg)
{
	struct session *s = arg;

	LOG(SERVICE " has not ended within its limit; what waited for it runs all the same");
	s->late = true;
	release(s);
}

static int spawn(const char *source, struct spawned *out)
{
	char name[] = SERVICE;
	char source_copy[256];
	struct service_found found;
	struct service_command command = {
	        .nogui = true,
	        .is_rpc = true,
	        .full_name = name,
	        .service = name,
	        .source = source_copy,
	        .n_tokens = 2,
	};
	char *argv[] = {name, NULL};
	struct spawn_config config = {.path = found.path, .argv = argv, .new_group = true};
	char **env;
	int r;

	if (strlen(source) >= sizeof(source_copy))
		return ENAMETOOLONG;
	memcpy(source_copy, source, strlen(source) + 1);
	if (service_find(&command, NULL, "", &found) || found.kind != SERVICE_EXECUTABLE)
		return ENOENT;
	env = spawn_environment(&command, NULL, 0);
	config.env = env;
	r = env ? spawn_start(&config, out) : ENOMEM;
	free(env);
	return r;
}

static int begin(struct session *s, const char *user, const char *source)
{
	struct spawned spawned;
	char line[SERVICE_USER_MAX + 2];
	size_t len = strlen(user);
	int r = spawn(source, &spawned);

	if (r) {
		errno = r;
		return -1;
	}
	memcpy(line, user, len);
	line[len] = '\n';
	if (send(spawned.in_fd, line, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len + 1)
		LOG_ERRNO("telling " SERVICE " its user");
	(void)fd_close(spawned.in_fd);
	s->out_fd = spawned.out_fd;
	s->running = true;
	if (loop_child_add(s->agent->loop, &s->child, spawned.pid, on_ended, s) == 0 &&
	    loop_timer_set(s->agent->loop, &s->limit, SERVICE_SESSION_MS, on_limit, s) == 0)
		return 0;
	loop_child_remove(s->agent->loop, &s->child);
	spawn_abandon(spawned.pid);
	s->out_fd = fd_close(s->out_fd);
	s->running = false;
	return -1;
}

void session_wait(struct agent *agent, struct session_waiter *waiter, const char *user,
                  const char *source)
{
	struct session *s = agent->session;

	/* It is still at it after its limit: another one would be no wiser. */
	if (s->late) {
		waiter->run(waiter->arg);
		return;
	}
	if (!s->running && begin(s, user, source)) {
		LOG_ERRNO(SERVICE " cannot be started; what waits for it runs all the same");
		waiter->run(waiter->arg);
		return;
	}
	if (s->n_waiters >= WAITERS_MAX) {
		waiter->run(waiter->arg);
		return;
	}
	waiter->next = NULL;
	*s->last = waiter;
	s->last = &waiter->next;
	s->n_waiters++;
}

int session_start(struct agent *agent)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	*s = (struct session){
	        .agent = agent,
	        .child = LOOP_CHILD_EMPTY,
	        .out_fd = -1,
	};
	s->last = &s->first;
	agent->session = s;
	return 0;
}
