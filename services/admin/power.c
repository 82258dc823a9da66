/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kill, shutdown, pause, unpause; what the monitor tells about running qubes. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/create.h"
#include "services/admin/devices.h"
#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/lifecycle.h"
#include "services/admin/lifecycle_internal.h"
#include "services/admin/network.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/stats.h"

#define STATE_WAIT_MS   30000U
#define DESTROY_WAIT_MS 60000U
#define NOT_RUNNING     "Domain not running (either powered off or paused): '%s'"

/* Somebody who waits for a qube's stop to be handled, or for an answer of the ground. */
struct waiter {
	struct waiter *next;
	struct qube *q; /* held */
	struct loop_timer timer;
	bool listed;
	lifecycle_done fn;
	void *arg;
};

static struct waiter *waiters;

static struct waiter *waiter_new(struct qube *q, lifecycle_done fn, void *arg)
{
	struct waiter *w = memory_get(sizeof(*w));

	*w = (struct waiter){.q = qube_hold(q), .fn = fn, .arg = arg};
	return w;
}

static void waiter_end(struct waiter *w, const struct fault *fault)
{
	struct waiter **p;

	for (p = &waiters; w->listed && *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	loop_timer_clear(job_loop(), &w->timer);
	if (w->fn)
		w->fn(w->arg, fault);
	qube_release(w->q);
	free(w);
}

static void on_timeout(void *arg)
{
	struct waiter *w = arg;
	struct fault f;

	fault_set(&f, E_SHUTDOWN_TIMEOUT, "Domain shutdown timed out: '%s'", w->q->name);
	waiter_end(w, &f);
}

static void wait_stopped(struct waiter *w, uint32_t timeout_ms)
{
	w->listed = true;
	w->next = waiters;
	waiters = w;
	if (loop_timer_set(job_loop(), &w->timer, timeout_ms, on_timeout, w))
		on_timeout(w);
}

void lifecycle_when_stopped(struct qube *q, uint32_t timeout_ms, lifecycle_done fn, void *arg)
{
	wait_stopped(waiter_new(q, fn, arg), timeout_ms);
}

static void tell_stopped(void *arg, const char *failed)
{
	struct qube *q = arg;
	struct waiter *w, *next;

	for (w = waiters; w; w = next) {
		next = w->next;
		if (w->q == q && w->listed)
			waiter_end(w, NULL);
	}
	qube_release(q);
}

void lifecycle_tell_stopped(struct qube *q)
{
	turn_then(tell_stopped, qube_hold(q));
}

void lifecycle_answer(void *arg, const struct fault *fault)
{
	struct call *c = arg;

	turn_begin();
	if (fault)
		c->fault = *fault;
	call_finish(c);
	turn_end(true);
}

static void on_destroyed(void *arg, const struct monitor_message *m)
{
	struct waiter *w = arg;
	struct fault f;

	/* E_STATE: it ended by itself meanwhile; its stop is handled or will be. */
	if (m->kind == MONITOR_FAILED && m->failed.error != MONITOR_E_STATE) {
		fault_set(&f, E_VM, "%s could not be ended: %s", w->q->name, m->failed.text);
		waiter_end(w, &f);
	} else if (w->q->run.state == STATE_HALTED) {
		waiter_end(w, NULL);
	} else {
		wait_stopped(w, DESTROY_WAIT_MS);
	}
}

void lifecycle_kill(struct qube *q, lifecycle_done fn, void *arg)
{
	ground_simple(q, MONITOR_DESTROY, DESTROY_WAIT_MS, on_destroyed, waiter_new(q, fn, arg));
}

void method_kill(struct call *c)
{
	if (c->dest->klass == CLASS_ADMIN)
		call_refuse(c, E_VM, "Cannot kill Dom0 fake domain!");
	else if (c->dest->klass == CLASS_REMOTE)
		call_refuse(c, E_VM, "Cannot kill a RemoteVM.");
	else if (c->dest->run.state == STATE_HALTED)
		call_refuse(c, E_NOT_STARTED, "Domain is powered off: '%s'", c->dest->name);
	else {
		call_wait(c);
		lifecycle_kill(c->dest, lifecycle_answer, c);
	}
}

/* A change of state that was asked for: with the event, when the ground confirmed it. */
static void on_paused(void *arg, const struct monitor_message *m)
{
	struct waiter *w = arg;
	struct fault f;

	w->q->run.asked--;
	if (m->kind == MONITOR_FAILED) {
		fault_set(&f, E_VM, "%s could not be paused: %s", w->q->name, m->failed.text);
		waiter_end(w, &f);
		return;
	}
	if (w->q->run.state == STATE_RUNNING) {
		w->q->run.state = STATE_PAUSED;
		world.changes++;
	}
	turn_begin();
	event_fire(w->q, "domain-paused", NULL);
	turn_end(true);
	waiter_end(w, NULL);
}

void lifecycle_pause(struct qube *q, lifecycle_done fn, void *arg)
{
	event_fire(q, "domain-pre-paused", NULL);
	q->run.asked++;
	ground_simple(q, MONITOR_PAUSE, STATE_WAIT_MS, on_paused, waiter_new(q, fn, arg));
}

void method_pause(struct call *c)
{
	struct qube *q = c->dest;

	if (q->klass == CLASS_ADMIN)
		call_refuse(c, E_VM, "Cannot pause Dom0 fake domain!");
	else if (q->klass == CLASS_REMOTE ||
	         (q->run.state != STATE_RUNNING && q->run.state != STATE_PAUSED))
		call_refuse(c, E_NOT_RUNNING, NOT_RUNNING, q->name);
	else {
		call_wait(c);
		lifecycle_pause(q, lifecycle_answer, c);
	}
}

/* What was put off while the qube did not run. */
static void catch_up(struct qube *q)
{
	if (feature_get(q, "deferred-netvm-original")) {
		ground_network(q, network_netvm(q));
		feature_drop(q, "deferred-netvm-original");
		ground_call(q, "root", "qubes.WaitForNetworkUplink", NULL, 0, 10000, NULL, NULL);
	}
	preload_unpaused(q);
}

static void on_unpaused(void *arg, const struct monitor_message *m)
{
	struct waiter *w = arg;
	struct fault f;

	w->q->run.asked--;
	if (m->kind == MONITOR_FAILED) {
		fault_set(&f, E_VM, "%s could not be unpaused: %s", w->q->name, m->failed.text);
		waiter_end(w, &f);
		return;
	}
	if (w->q->run.state == STATE_PAUSED) {
		w->q->run.state = STATE_RUNNING;
		world.changes++;
	}
	turn_begin();
	event_fire(w->q, "domain-unpaused", NULL);
	catch_up(w->q);
	turn_end(true);
	waiter_end(w, NULL);
}

void lifecycle_unpause(struct qube *q, lifecycle_done fn, void *arg)
{
	event_fire(q, "domain-pre-unpaused", NULL);
	q->run.asked++;
	ground_simple(q, MONITOR_UNPAUSE, STATE_WAIT_MS, on_unpaused, waiter_new(q, fn, arg));
}

void method_unpause(struct call *c)
{
	if (c->dest->run.state != STATE_PAUSED) {
		call_refuse(c, E_NOT_PAUSED, "Domain is not paused: '%s'", c->dest->name);
		return;
	}
	call_wait(c);
	lifecycle_unpause(c->dest, lifecycle_answer, c);
}

/* force, wait: each at most once, joined with "+". */
static bool shutdown_words(struct call *c, bool *ret_force, bool *ret_wait)
{
	char *at = c->arg, *word;

	*ret_force = *ret_wait = false;
	while (c->arg[0] && (word = strsep(&at, "+"))) {
		if (strcmp(word, "force") == 0 && !*ret_force)
			*ret_force = true;
		else if (strcmp(word, "wait") == 0 && !*ret_wait)
			*ret_wait = true;
		else
			return fault_set(&c->fault, E_PROTOCOL, "Argument must match: force, wait");
	}
	return true;
}

static void add_running(void *arg, struct qube *client)
{
	struct text *t = arg;

	if (!qube_active(client) || !client->run.domid || preload_is(client))
		return;
	text_printf(t, "%s%s", t->len ? ", " : "", client->name);
}

static void add_users(struct qube *q, enum property_id id, struct text *t)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *u = world.qubes[i];

		if (u != q && property_has(u, id) && qube_active(u) && u->run.domid &&
		    property_qube(u, id) == q)
			text_printf(t, "%s%s", t->len ? ", " : "", u->name);
	}
}

static bool may_stop(struct qube *q, struct fault *f)
{
	AUTO_TEXT names = {0};

	if (property_bool(q, PROP_PROVIDES_NETWORK))
		network_clients(q, add_running, &names);
	if (names.len)
		return fault_set(f, E_IN_USE, "There are other VMs connected to this VM: %s",
		                 text_get(&names));
	add_users(q, PROP_GUIVM, &names);
	if (names.len)
		return fault_set(f, E_IN_USE, "There are other qubes using this qube as GuiVM: %s",
		                 text_get(&names));
	add_users(q, PROP_AUDIOVM, &names);
	if (names.len)
		return fault_set(f, E_IN_USE,
		                 "There are other qubes using this qube as AudioVM: %s",
		                 text_get(&names));
	return true;
}

struct stopping {
	struct call *call;
	bool wait;
};

static void stop_failed(struct call *c)
{
	event_fire(c->dest, "domain-shutdown-failed", "reason", c->fault.text, NULL);
	c->keep = true;
}

static void on_asked(void *arg, const struct monitor_message *m)
{
	struct stopping *s = arg;
	struct call *c = s->call;
	long long seconds = property_int(c->dest, PROP_SHUTDOWN_TIMEOUT);
	bool wait = s->wait;

	free(s);
	if (m->kind == MONITOR_FAILED && m->failed.error != MONITOR_E_STATE) {
		turn_begin();
		call_refuse(c, E_SHUTDOWN_TIMEOUT, "Domain shutdown timed out: '%s'",
		            c->dest->name);
		stop_failed(c);
		call_finish(c);
		turn_end(true);
	} else if (wait && c->dest->run.state != STATE_HALTED) {
		lifecycle_when_stopped(c->dest, (uint32_t)MIN(seconds, 86400LL) * 1000U,
		                       lifecycle_answer, c);
	} else {
		lifecycle_answer(c, NULL);
	}
}

void method_shutdown(struct call *c)
{
	struct qube *q = c->dest;
	struct stopping *s;
	bool force, wait, paused = q->run.state == STATE_PAUSED;

	if (!shutdown_words(c, &force, &wait))
		return;
	if (q->klass == CLASS_ADMIN || q->klass == CLASS_REMOTE) {
		call_refuse(c, E_VM, "Cannot shut down %s", q->name);
		return;
	}
	if (q->run.state == STATE_HALTED) {
		call_refuse(c, E_NOT_STARTED, "Domain is powered off: '%s'", q->name);
		return;
	}
	event_fire(q, "domain-pre-shutdown", "force", force ? "True" : "False", NULL);
	if (!force && !may_stop(q, &c->fault)) {
		stop_failed(c);
		return;
	}
	if (paused && !force && !preload_is(q)) {
		call_refuse(c, E_NOT_RUNNING, NOT_RUNNING, q->name);
		stop_failed(c);
		return;
	}
	s = memory_get(sizeof(*s));
	*s = (struct stopping){.call = c, .wait = wait};
	call_wait(c);
	ground_simple(q, paused ? MONITOR_DESTROY : MONITOR_SHUTDOWN,
	              paused ? DESTROY_WAIT_MS : STATE_WAIT_MS, on_asked, s);
}

static enum qube_state state_of(uint32_t monitor_state)
{
	switch (monitor_state) {
	case MONITOR_PAUSED:
		return STATE_PAUSED;
	case MONITOR_HALTING:
		return STATE_HALTING;
	case MONITOR_DYING:
		return STATE_DYING;
	default:
		return STATE_RUNNING;
	}
}

static struct qube *qube_of(const uint8_t uuid[MONITOR_UUID_LEN])
{
	char text[UUID_LEN];

	ground_uuid_text(uuid, text);
	return qube_by_uuid(text);
}

/* A change of state that nobody asked for here. */
static void on_qube(const struct monitor_message *m)
{
	struct qube *q = qube_of(m->qube.uuid);
	enum qube_state state = state_of(m->qube.state);

	if (!q || q->run.domid != m->domid || q->run.asked || q->run.state == state ||
	    q->run.state == STATE_DYING || q->run.state == STATE_HALTED)
		return;
	/* While a qube is being started the job knows better. */
	if (q->lock && state != STATE_HALTING)
		return;
	turn_begin();
	world.changes++;
	if (state == STATE_PAUSED)
		event_fire(q, "domain-paused", NULL);
	else if (state == STATE_RUNNING && q->run.state == STATE_PAUSED)
		event_fire(q, "domain-unpaused", NULL);
	q->run.state = state;
	turn_end(true);
}

void lifecycle_event(const struct monitor_message *m)
{
	struct qube *q;

	if (m->kind == MONITOR_QUBE) {
		on_qube(m);
	} else if (m->kind == MONITOR_STOPPED) {
		q = qube_of(m->stopped.uuid);
		/* Of a qube whose creation failed there is nothing to handle. */
		if (q && q->run.domid == m->domid)
			lifecycle_stopped(q);
	} else if (m->kind == MONITOR_STAT) {
		q = qube_by_domid(m->domid);
		if (!q)
			return;
		q->run.memory_kib = m->stat.memory;
		q->run.cpu_ns = m->stat.cpu_ns;
		q->run.vcpus = m->stat.vcpus;
	}
}

void lifecycle_found(const struct monitor_message *m)
{
	struct qube *q = qube_of(m->qube.uuid);

	if (!q) {
		LOG("a qube runs that is not in the store: %s", m->qube.name);
		return;
	}
	q->run.domid = m->domid;
	q->run.state = state_of(m->qube.state);
	q->run.qrexec = true;
}

void lifecycle_settle(void)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (!q->run.domid)
			continue;
		qdb_open(q);
		devices_watch(q);
	}
	devices_settle();
	remove_leftovers();
	preload_settle();
	stats_start();
}
