/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Callers that went before they had their answer. dom0 has allowed the call, so its service starts
 * in the other qube and looks for the caller's channel for two minutes, with its port in use. Here
 * the agent opens that channel in the caller's place and closes it as soon as the service is there,
 * which ends the service; dom0 is told after that, so that nobody else can be given the port before.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/deadline.h"
#include "lib/base/log.h"
#include "qube/agent/agent.h"

#define ABSENT_MAX 1024  /* channels at the same moment; chosen */
#define RING_BYTES 4096U /* nothing moves through them */

struct absent {
	struct absent *next;
	struct absent **place; /* what points here */
	struct agent *agent;
	uint32_t domain;
	uint32_t port;
	struct vchan *vchan;
	struct loop_fd watch;
	struct loop_timer limit;
};

static void drop(struct absent *a)
{
	*a->place = a->next;
	if (a->next)
		a->next->place = a->place;
	a->agent->n_absent--;
	loop_fd_remove(a->agent->loop, &a->watch);
	loop_timer_clear(a->agent->loop, &a->limit);
	(void)vchan_close(a->vchan);
	free(a);
}

static void over(void *arg)
{
	struct absent *a = arg;

	control_send_terminated(a->agent, a->domain, a->port);
	drop(a);
}

static void on_channel(void *arg, uint32_t events)
{
	struct absent *a = arg;

	(void)events;
	if (vchan_step(a->vchan) != VCHAN_WAITING)
		over(a);
}

static int listen_for(struct absent *a)
{
	struct vchan_config config;

	if (vchan_config_from_env(&config))
		return -1;
	config.peer = (int)a->domain;
	config.port = (int)a->port;
	config.read_min = config.write_min = RING_BYTES;
	if (vchan_listen(&config, &a->vchan) ||
	    loop_fd_add(a->agent->loop, &a->watch, vchan_fd(a->vchan), EPOLLIN, on_channel, a))
		return -1;
	return loop_timer_set(a->agent->loop, &a->limit, deadline_ms(AGENT_CHANNEL_MS), over, a);
}

void absent_serve(struct agent *agent, uint32_t domain, uint32_t port)
{
	struct absent *a = agent->n_absent < ABSENT_MAX ? calloc(1, sizeof(*a)) : NULL;

	if (!a) {
		LOG("the service of a caller that has gone will wait for it");
		control_send_terminated(agent, domain, port);
		return;
	}
	absent_cancel(agent, domain, port);
	*a = (struct absent){
	        .next = agent->absent,
	        .place = &agent->absent,
	        .agent = agent,
	        .domain = domain,
	        .port = port,
	        .watch = LOOP_FD_EMPTY,
	};
	if (a->next)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() unlinks what it frees */
		a->next->place = &a->next;
	agent->absent = a;
	agent->n_absent++;
	if (listen_for(a)) {
		LOG_ERRNO("the service of a caller that has gone will wait for it");
		over(a);
	}
}

void absent_cancel(struct agent *agent, uint32_t domain, uint32_t port)
{
	for (struct absent *a = agent->absent; a; a = a->next) {
		if (a->domain == domain && a->port == port) {
			drop(a);
			return;
		}
	}
}

void absent_stop(struct agent *agent)
{
	while (agent->absent)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() unlinks it */
		drop(agent->absent);
}
