/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The orderly end of the whole system, step by step, each when the one before is done:
 *
 *   QUBES     every qube is asked to end, and destroyed after a while
 *   ADMIN     the admin service commits what is left to commit, and ends; store and storage with it
 *   SERVICES  the others
 *   then the folder of records goes, and the monitor
 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "monitor/monitor.h"

enum { STOP_NOT, STOP_QUBES, STOP_ADMIN, STOP_GROUP, STOP_SERVICES, STOP_DONE };

#define SETTLE_MS 30000U /* after which a step is forced; chosen */

static void ignore_answer(struct monitor *m, const struct pending *p,
                          const struct monitor_message *answer)
{
	(void)m;
	(void)p;
	(void)answer;
}

static void ask_all(struct monitor *m, uint32_t kind)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct qube *q = m->by_domid[domid];
		struct monitor_message out = {.kind = kind, .domid = domid};

		if (!q || q->ended)
			continue;
		/* One that is paused cannot end by itself. */
		if (kind == MONITOR_SHUTDOWN && qube_state_next(q->state, QUBE_ASKED) == QUBE_NONE)
			out.kind = MONITOR_DESTROY;
		if (!qube_move(q, out.kind == MONITOR_DESTROY ? QUBE_DESTROY : QUBE_ASKED))
			continue;
		pending_ask(m, PROCESS_TOOLSTACK, &out, 0, SETTLE_MS, ignore_answer);
	}
}

static void on_force(void *arg)
{
	struct monitor *m = arg;

	switch (m->stopping) {
	case STOP_QUBES:
		LOG("%u qubes did not end by themselves: they are killed", m->n_qubes);
		ask_all(m, MONITOR_DESTROY);
		if (loop_timer_set(m->loop, &m->stop_timer, SETTLE_MS, on_force, m) == 0)
			return;
		break;
	default:
		LOG("step %d of the end takes too long", m->stopping);
		for (int id = 1; id < PROCESS_MAX; id++)
			proc_signal(&m->services[id].proc, SIGKILL);
		if (loop_timer_set(m->loop, &m->stop_timer, SETTLE_MS, on_force, m) == 0)
			return;
	}
	loop_stop(m->loop, 1);
}

static void end_services(struct monitor *m, bool group)
{
	for (int id = 1; id < PROCESS_MAX; id++) {
		bool member = (process_rules[id].flags & IN_GROUP) != 0;

		if ((process_rules[id].flags & PER_SYSTEM) && member == group)
			service_end(&m->services[id]);
	}
}

static bool any_runs(const struct monitor *m, bool group)
{
	for (int id = 1; id < PROCESS_MAX; id++)
		if (((process_rules[id].flags & IN_GROUP) != 0) == group &&
		    services_run(m, (enum process_id)id))
			return true;
	return false;
}

static void enter(struct monitor *m, int step)
{
	m->stopping = step;
	if (loop_timer_set(m->loop, &m->stop_timer,
	                   step == STOP_QUBES ? m->stop_seconds * 1000U : SETTLE_MS, on_force, m))
		LOG_ERRNO("no limit for a step of the end");
	switch (step) {
	case STOP_QUBES:
		ask_all(m, MONITOR_SHUTDOWN);
		break;
	case STOP_ADMIN:
		service_end(&m->services[PROCESS_ADMIN]);
		break;
	case STOP_GROUP:
		end_services(m, true);
		break;
	case STOP_SERVICES:
		calls_drop(m);
		end_services(m, false);
		break;
	default:
		loop_stop(m->loop, 0);
	}
}

void stop_go_on(struct monitor *m)
{
	if (m->stopping == STOP_QUBES && m->n_qubes == 0)
		enter(m, STOP_ADMIN);
	if (m->stopping == STOP_ADMIN && !services_run(m, PROCESS_ADMIN))
		enter(m, STOP_GROUP);
	if (m->stopping == STOP_GROUP && !any_runs(m, true))
		enter(m, STOP_SERVICES);
	if (m->stopping == STOP_SERVICES && !any_runs(m, false) && m->n_calls == 0)
		enter(m, STOP_DONE);
}

void stop_begin(struct monitor *m)
{
	if (m->stopping != STOP_NOT)
		return;
	loop_timer_clear(m->loop, &m->group_again);
	enter(m, STOP_QUBES);
	stop_go_on(m);
}
