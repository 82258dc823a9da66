/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool of ready disposables. This file alone changes it: each disposable in it is one record that
 * goes through making, starting, settling (services inside the qube), pausing, ready; or is dropped. The
 * features that clients see (preload-dispvm …) follow the records. Facts: doc/protocol/core-model.md,
 * Disposables.
 */
#include "services/admin/preload.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "services/admin/create.h"
#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/job.h"
#include "services/admin/lifecycle.h"
#include "services/admin/preload_internal.h"
#include "services/admin/property.h"

#define RUNNING_SERVICE "qubes.WaitForRunningSystem"
#define SESSION_SERVICE "qubes.WaitForSession"
#define RETRY_MS        30000U /* after one that could not be made */

struct preload *preloads;
static struct loop_defer defer;
static struct loop_timer timer;
static uint64_t held_ns; /* until then none is made: see preload_used() */
static bool asleep;      /* the machine is being suspended: nothing is made until it wakes */

static void on_fill(void *arg);

void preload_fill_soon(uint32_t delay_ms)
{
	if (loop_timer_set(job_loop(), &timer, delay_ms, on_fill, NULL))
		LOG("no memory for a timer: the pool of disposables is filled later");
}

void preload_used(const struct qube *template)
{
	uint32_t delay_ms = (uint32_t)preload_delay(template) * 1000U;

	held_ns = loop_now_ns() + delay_ms * 1000000ULL;
	preload_fill_soon(delay_ms);
}

struct preload *preload_of(const struct qube *q)
{
	struct preload *p;

	for (p = preloads; p; p = p->next)
		if (p->q == q && p->state != PRELOAD_DROPPED && p->state != PRELOAD_TAKEN)
			return p;
	return NULL;
}

bool preload_is(const struct qube *q)
{
	return q->klass == CLASS_DISP && preload_of(q);
}

void preload_end(struct preload *p)
{
	struct preload **at;

	for (at = &preloads; *at != p;)
		at = &(*at)->next;
	*at = p->next;
	qube_release(p->q);
	qube_release(p->template);
	free(p->settings);
	free(p);
}

static size_t count(const struct qube *template)
{
	struct preload *p;
	size_t n = 0;

	for (p = preloads; p; p = p->next)
		if (p->template == template && p->state != PRELOAD_DROPPED &&
		    p->state != PRELOAD_TAKEN)
			n++;
	return n;
}

static size_t making(void)
{
	struct preload *p;
	size_t n = 0;

	for (p = preloads; p; p = p->next)
		n += p->state < PRELOAD_READY;
	return n;
}

/* The template's feature names them all; in an open turn. */
void preload_list_changed(struct qube *template)
{
	const char *is = feature_get(template, "preload-dispvm");
	struct preload *p;
	AUTO_TEXT names = {0};

	/* The newest record stands first. */
	for (p = preloads; p; p = p->next)
		if (p->template == template && p->state != PRELOAD_DROPPED &&
		    p->state != PRELOAD_TAKEN && !p->q->gone) {
			AUTO_TEXT rest = {0};

			text_puts(&rest, text_get(&names));
			text_clear(&names);
			text_printf(&names, "%s%s%s", p->q->name, rest.len ? " " : "",
			            text_get(&rest));
		}
	if (!template->gone && !text_equal(is, text_get(&names)))
		feature_put(template, "preload-dispvm", text_get(&names));
}

static void on_dropped(void *arg, const struct fault *fault)
{
	if (fault)
		LOG("a preloaded disposable could not be ended: %s", fault->text);
}

/* What is left of a record goes; outside of a turn. */
static void clean_up(struct preload *p)
{
	struct qube *q = p->q;

	if (q->gone)
		return;
	if (q->run.domid) {
		lifecycle_kill(q, on_dropped, NULL);
	} else if (!q->lock) {
		turn_begin();
		event_fire(world.system, "domain-pre-delete", "vm", q->name, NULL);
		remove_rows(q);
		turn_end(true);
	}
}

static void on_turn_over(void *arg, const char *failed)
{
	struct preload *p = arg;

	p->leaving = false;
	clean_up(p);
	/* While a job works on it, that job's end comes to given_up(). */
	if (!p->busy)
		preload_end(p);
}

/* In an open turn. */
void preload_drop(struct preload *p)
{
	if (p->state == PRELOAD_DROPPED || p->state == PRELOAD_TAKEN)
		return;
	p->state = PRELOAD_DROPPED;
	p->leaving = true;
	preload_list_changed(p->template);
	turn_then(on_turn_over, p);
}

/* A step of making one is over; true: it is dropped, or was taken away under us. */
static bool given_up(struct preload *p, const struct fault *fault)
{
	p->busy = false;
	if (fault && p->state != PRELOAD_DROPPED) {
		LOG("%s: a disposable could not be prepared: %s", p->template->name, fault->text);
		turn_begin();
		preload_drop(p);
		turn_end(true);
		preload_fill_soon(RETRY_MS);
		return true;
	}
	if (p->state == PRELOAD_DROPPED || p->q->gone) {
		clean_up(p);
		/* Or else when the turn that dropped it is durable. */
		if (!p->leaving)
			preload_end(p);
		return true;
	}
	return false;
}

static void on_paused(void *arg, const struct fault *fault)
{
	struct preload *p = arg;

	if (given_up(p, fault))
		return;
	p->state = PRELOAD_READY;
	turn_begin();
	feature_put(p->q, "preload-dispvm-completed", "1");
	feature_put(p->q, "preload-dispvm-in-progress", "");
	preload_hand_out(p);
	turn_end(true);
	preload_fill_soon(0);
}

static void pause_it(struct preload *p)
{
	p->state = PRELOAD_PAUSING;
	p->busy = true;
	turn_begin();
	lifecycle_pause(p->q, on_paused, p);
	turn_end(true);
}

static void on_service(void *arg, const struct monitor_message *m)
{
	struct preload *p = arg;
	struct fault f = {0};

	if (m->kind == MONITOR_FAILED)
		fault_set(&f, E_QUBES, "%s: %s", RUNNING_SERVICE, m->failed.text);
	if (given_up(p, f.type ? &f : NULL))
		return;
	pause_it(p);
}

static void on_running(void *arg, const struct monitor_message *m)
{
	struct preload *p = arg;
	struct qube *guivm = property_qube(p->q, PROP_GUIVM);
	bool session =
	        guivm && feature_true(feature_with_template(p->q, "gui")) &&
	        feature_true(feature_with_template(p->q, "supported-feature.late-gui-daemon"));

	if (!session || m->kind == MONITOR_FAILED) {
		on_service(p, m);
		return;
	}
	ground_call(p->q, NULL, SESSION_SERVICE, NULL, 0, preload_wait_ms(p->q), on_service, p);
}

/* In the start's last turn: the services come after it. */
static void on_start_over(void *arg, const char *failed)
{
	struct preload *p = arg;

	if (given_up(p, p->fault.type ? &p->fault : NULL))
		return;
	p->state = PRELOAD_SETTLING;
	p->busy = true;
	turn_begin();
	event_fire(p->q, "domain-cmd-pre-run", "start_guid", "False", NULL);
	turn_end(true);
	ground_call(p->q, NULL, RUNNING_SERVICE, NULL, 0, preload_wait_ms(p->q), on_running, p);
}

static void on_started(void *arg, struct job *j, const struct fault *fault)
{
	struct preload *p = arg;

	if (fault)
		p->fault = *fault;
	turn_then(on_start_over, p);
}

static void on_made_over(void *arg, const char *failed)
{
	struct preload *p = arg;
	struct job *j;

	if (given_up(p, p->fault.type ? &p->fault : NULL))
		return;
	p->state = PRELOAD_STARTING;
	p->busy = true;
	j = lifecycle_start(p->q);
	j->done = on_started;
	j->arg = p;
	job_start(j);
}

static void on_made(void *arg, struct job *j, const struct fault *fault)
{
	struct preload *p = arg;

	if (fault)
		p->fault = *fault;
	turn_then(on_made_over, p);
}

static struct preload *record(struct qube *template, struct qube *q, enum preload_state state)
{
	struct preload *p = memory_get(sizeof(*p));
	AUTO_TEXT settings = {0};

	preload_settings(template, &settings);
	text_puts(&settings, "");
	*p = (struct preload){.next = preloads,
	                      .template = qube_hold(template),
	                      .q = qube_hold(q),
	                      .state = state,
	                      .settings = text_take(&settings)};
	preloads = p;
	return p;
}

/* One more, in a turn of its own. */
static bool add_one(struct qube *template)
{
	struct fault f = {0};
	struct preload *p;
	struct qube *q;
	struct job *j;

	turn_begin();
	q = create_disposable(template, qube_by_name("dom0"), &f);
	if (!q) {
		turn_end(false);
		LOG("%s: a disposable could not be prepared: %s", template->name, f.text);
		return false;
	}
	p = record(template, q, PRELOAD_MAKING);
	p->busy = true;
	feature_put(q, "preload-dispvm-in-progress", "1");
	preload_list_changed(template);
	feature_put(q, "internal", "1");
	j = create_job(q);
	j->done = on_made;
	j->arg = p;
	create_after_turn(j);
	turn_end(true);
	return true;
}

static struct preload *newest(const struct qube *template, bool outdated_only)
{
	struct preload *p;

	for (p = preloads; p; p = p->next)
		if (p->template == template && p->state != PRELOAD_DROPPED &&
		    p->state != PRELOAD_TAKEN && (!outdated_only || preload_outdated(p)))
			return p;
	return NULL;
}

static void fit(struct qube *template)
{
	size_t want = preload_wanted(template);
	struct preload *p;

	while ((p = newest(template, true)) ||
	       (count(template) > want && (p = newest(template, false)))) {
		turn_begin();
		preload_drop(p);
		turn_end(true);
	}
	while (!asleep && loop_now_ns() >= held_ns && count(template) < want &&
	       making() < PRELOAD_PARALLEL)
		if (!add_one(template)) {
			preload_fill_soon(RETRY_MS);
			break;
		}
}

static void on_fill(void *arg)
{
	struct qube **templates = memory_get(world.n_qubes * sizeof(*templates));
	size_t i, n = 0;

	/* Making one changes the list of qubes. */
	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->klass == CLASS_APP)
			templates[n++] = qube_hold(world.qubes[i]);
	for (i = 0; i < n; i++) {
		if (!templates[i]->gone &&
		    (count(templates[i]) || property_bool(templates[i], PROP_TEMPLATE_FOR_DISPVMS)))
			fit(templates[i]);
		qube_release(templates[i]);
	}
	free(templates);
	if (loop_now_ns() < held_ns)
		preload_fill_soon((uint32_t)((held_ns - loop_now_ns()) / 1000000U) + 1);
}

void preload_fill(struct qube *template)
{
	preload_fill_soon(0);
}

void preload_fill_all(void)
{
	asleep = false;
	preload_fill_soon(0);
}

void preload_settings_changed(struct qube *q)
{
	if (q->klass == CLASS_APP && preload_wanted(q) > count(q))
		event_fire(q, "domain-preload-dispvm-start", "reason", "settings changed", NULL);
	held_ns = 0;
	preload_fill_soon(0);
}

static void on_touched(void *arg)
{
	on_fill(NULL);
}

void preload_touched(void)
{
	if (preloads)
		loop_defer_set(job_loop(), &defer, on_touched, NULL);
}

void preload_drop_all(void)
{
	struct preload *p, *next;

	asleep = true;
	for (p = preloads; p; p = next) {
		next = p->next;
		preload_drop(p);
	}
}

/* --- what happens to qubes ------------------------------------------------------------------------ */

void preload_stopped(struct qube *q)
{
	struct preload *p = preload_of(q);

	if (p)
		preload_drop(p);
	/* What was made of a template is outdated when its new state is committed. */
	if (q->klass == CLASS_TEMPLATE)
		preload_touched();
}

void preload_unpaused(struct qube *q)
{
	struct preload *p = preload_of(q);

	if (!p || p->state != PRELOAD_READY)
		return;
	/* Somebody went on with it without asking: it counts as used. */
	p->state = PRELOAD_TAKEN;
	preload_list_changed(p->template);
	preload_drop_feature(q, "internal");
	preload_drop_feature(q, "preload-dispvm-in-progress");
	preload_used(p->template);
	preload_end(p);
}

void preload_forget(struct qube *q)
{
	struct preload *p = preload_of(q);

	if (!p)
		return;
	p->state = PRELOAD_DROPPED;
	preload_list_changed(p->template);
	p->leaving = !p->busy;
	if (p->leaving)
		turn_then(on_turn_over, p);
}

/* Ready ones of a former life of this service stay; others go. */
void preload_settle(void)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i], *template;
		bool progress = feature_true(feature_get(q, "preload-dispvm-in-progress"));
		bool complete = feature_true(feature_get(q, "preload-dispvm-completed"));

		if (q->klass != CLASS_DISP || (!progress && !complete) ||
		    !feature_true(feature_get(q, "internal")))
			continue;
		template = property_qube(q, PROP_TEMPLATE);
		if (!template)
			continue;
		record(template, q, PRELOAD_READY);
	}
	preload_check_found();
	preload_fill_soon(0);
}

void preload_check_found(void)
{
	struct preload *p, *next;

	turn_begin();
	for (p = preloads; p; p = next) {
		next = p->next;
		if (p->q->run.state != STATE_PAUSED ||
		    feature_true(feature_get(p->q, "preload-dispvm-in-progress")))
			preload_drop(p);
	}
	turn_end(true);
}
