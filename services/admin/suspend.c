/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Suspend and resume of qubes and of the whole system; what state a qube is in. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/lifecycle.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"

#define SERVICE_WAIT_MS 60000U
#define NOT_RUNNING     "Domain not running (either powered off or paused): '%s'"
#define PAUSED_LIST     "previously-paused" /* kept by the store: a crash in between loses nothing */

static bool has_agent(const struct qube *q)
{
	return q->run.qrexec && feature_true(feature_with_template(q, "qrexec"));
}

/* A service of the qube, with its event; when it cannot run, that is logged and fn is called. */
static void run_service(struct qube *q, const char *service, ground_done fn, void *arg)
{
	event_fire(q, "domain-cmd-pre-run", "start_guid", "False", NULL);
	ground_call(q, "root", service, NULL, 0, SERVICE_WAIT_MS, fn, arg);
}

static void log_failure(const struct qube *q, const char *service, const struct monitor_message *m)
{
	if (m->kind == MONITOR_FAILED)
		LOG("%s: %s: %s", q->name, service, m->failed.text);
	else if (m->done.status)
		LOG("%s: %s ended with status %u", q->name, service, m->done.status);
}

struct suspending {
	struct qube *q; /* held */
	lifecycle_done fn;
	void *arg;
};

static void after_pre(void *arg, const struct monitor_message *m)
{
	struct suspending *s = arg;
	struct fault f;

	log_failure(s->q, "qubes.SuspendPre", m);
	if (s->q->run.state == STATE_RUNNING || s->q->run.state == STATE_PAUSED) {
		turn_begin();
		lifecycle_pause(s->q, s->fn, s->arg);
		turn_end(true);
	} else {
		fault_set(&f, E_NOT_RUNNING, NOT_RUNNING, s->q->name);
		s->fn(s->arg, &f);
	}
	qube_release(s->q);
	free(s);
}

/* In an open turn. No ground of ours keeps a qube's memory apart from pausing it. */
static void suspend(struct qube *q, lifecycle_done fn, void *arg)
{
	struct suspending *s;

	if (q->run.state == STATE_PAUSED || !has_agent(q)) {
		lifecycle_pause(q, fn, arg);
		return;
	}
	s = memory_get(sizeof(*s));
	*s = (struct suspending){qube_hold(q), fn, arg};
	run_service(q, "qubes.SuspendPre", after_pre, s);
}

void method_suspend(struct call *c)
{
	struct qube *q = c->dest;

	if (q->klass == CLASS_ADMIN) {
		call_refuse(c, E_VM, "Cannot suspend Dom0 fake domain!");
		return;
	}
	if (q->klass == CLASS_REMOTE ||
	    (q->run.state != STATE_RUNNING && q->run.state != STATE_PAUSED)) {
		call_refuse(c, E_NOT_RUNNING, NOT_RUNNING, q->name);
		return;
	}
	call_wait(c);
	suspend(q, lifecycle_answer, c);
}

void method_resume(struct call *c)
{
	if (c->dest->klass == CLASS_ADMIN)
		call_refuse(c, E_VM, "Cannot resume Dom0 fake domain!");
	else
		method_unpause(c);
}

/* The whole system: one stage after the other, each for all qubes at once. */
struct stage {
	struct call *call;
	size_t open;
	struct text failed;
	void (*next)(struct stage *s);
};

static void stage_done(struct stage *s)
{
	if (--s->open == 0)
		s->next(s);
}

/* After the open turn: the first stage's own part is done. */
static void on_turn_over(void *arg, const char *failed)
{
	stage_done(arg);
}

static void stage_defer(struct stage *s)
{
	turn_then(on_turn_over, s);
}

struct member {
	struct stage *stage;
	struct qube *q; /* held */
	const char *service;
};

static struct member *member_new(struct stage *s, struct qube *q, const char *service)
{
	struct member *m = memory_get(sizeof(*m));

	*m = (struct member){s, qube_hold(q), service};
	s->open++;
	return m;
}

static void member_end(struct member *m)
{
	struct stage *s = m->stage;

	qube_release(m->q);
	free(m);
	stage_done(s);
}

static void member_called(void *arg, const struct monitor_message *m)
{
	struct member *member = arg;

	log_failure(member->q, member->service, m);
	member_end(member);
}

static void member_changed(void *arg, const struct fault *fault)
{
	struct member *m = arg;

	if (fault)
		text_printf(&m->stage->failed, "%s%s: %s", m->stage->failed.len ? ", " : "",
		            m->q->name, fault->text);
	member_end(m);
}

static void finish(struct stage *s)
{
	struct fault f;

	fault_set(&f, E_QUBES, "Failed to suspend some qubes: %.900s", text_get(&s->failed));
	lifecycle_answer(s->call, s->failed.len ? &f : NULL);
	text_free(&s->failed);
	free(s);
}

static void suspend_all(struct stage *s)
{
	size_t i;

	s->next = finish;
	s->open = 1;
	turn_begin();
	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.state == STATE_RUNNING)
			suspend(world.qubes[i], member_changed,
			        member_new(s, world.qubes[i], NULL));
	turn_end(true);
	stage_done(s);
}

static void call_all(struct stage *s, const char *service)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.state == STATE_RUNNING && has_agent(world.qubes[i]))
			run_service(world.qubes[i], service, member_called,
			            member_new(s, world.qubes[i], service));
}

void method_suspend_pre(struct call *c)
{
	struct stage *s = memory_get(sizeof(*s));
	AUTO_TEXT paused = {0};
	size_t i;

	s->call = c;
	s->next = suspend_all;
	s->open = 1;
	call_wait(c);
	preload_drop_all();
	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.state == STATE_PAUSED)
			text_printf(&paused, "%s\n", world.qubes[i]->name);
	row_set(ROW_KEPT, world.system, PAUSED_LIST, text_get(&paused));
	call_all(s, "qubes.SuspendPreAll");
	stage_defer(s);
}

static void post_all(struct stage *s)
{
	s->next = finish;
	s->open = 1;
	turn_begin();
	call_all(s, "qubes.SuspendPostAll");
	preload_fill_all();
	turn_end(true);
	stage_done(s);
}

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; list && *list; list = strchr(list, '\n') ? strchr(list, '\n') + 1 : NULL)
		if (strncmp(list, name, len) == 0 && list[len] == '\n')
			return true;
	return false;
}

void method_suspend_post(struct call *c)
{
	struct stage *s = memory_get(sizeof(*s));
	const char *list = kept_get(PAUSED_LIST);
	size_t i;

	s->call = c;
	s->next = post_all;
	s->open = 1;
	call_wait(c);
	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.state == STATE_PAUSED &&
		    !listed(list, world.qubes[i]->name) && !preload_is(world.qubes[i]))
			lifecycle_unpause(world.qubes[i], member_changed,
			                  member_new(s, world.qubes[i], NULL));
	if (list)
		row_set(ROW_KEPT, world.system, PAUSED_LIST, NULL);
	stage_defer(s);
}

void method_console(struct call *c)
{
	if (!c->dest->run.domid)
		call_refuse(c, E_NOT_RUNNING, NOT_RUNNING, c->dest->name);
}

void method_current_state(struct call *c)
{
	struct qube *q = c->dest;
	uint64_t memory = q->run.memory_kib, most = 0, cpu = q->run.cpu_ns;

	if (q->klass == CLASS_ADMIN) {
		memory = world.host.dom0_memory_kib;
		most = world.host.dom0_static_max_kib;
	} else if (q->run.domid) {
		long long mib = property_int(q, PROP_MAXMEM);

		if (mib == 0)
			mib = property_int(q, PROP_MEMORY);
		most = (uint64_t)mib * 1024;
		/* Until the ground's first figures come. */
		if (memory == 0)
			memory = (uint64_t)property_int(q, PROP_MEMORY) * 1024;
	}
	text_printf(&c->reply,
	            "mem=%" PRIu64 " mem_static_max=%" PRIu64 " cputime=%" PRIu64 " power_state=%s",
	            memory, most, cpu, state_name(q));
}
