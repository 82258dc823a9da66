/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs: steps with waits in between. Contract: job.h. */
#include "services/admin/job.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/log.h"

static struct {
	struct loop *loop;
	struct loop_defer defer;
	struct job *ready, **ready_end; /* begin in the next round of the loop */
} jobs;

static void job_run(struct job *j);

void job_init(struct loop *loop)
{
	jobs.loop = loop;
	jobs.ready_end = &jobs.ready;
}

struct loop *job_loop(void)
{
	return jobs.loop;
}

struct job *job_new(const char *name, const job_step *steps, struct qube *q)
{
	struct job *j = memory_get(sizeof(*j));

	j->name = name;
	j->steps = steps;
	j->q = qube_hold(q);
	return j;
}

static void on_ready(void *arg)
{
	struct job *j, *list = jobs.ready;

	jobs.ready = NULL;
	jobs.ready_end = &jobs.ready;
	while ((j = list)) {
		list = j->next_ready;
		j->next_ready = NULL;
		job_run(j);
	}
}

static void make_ready(struct job *j)
{
	*jobs.ready_end = j;
	jobs.ready_end = &j->next_ready;
	loop_defer_set(jobs.loop, &jobs.defer, on_ready, NULL);
}

void job_start(struct job *j)
{
	struct qube *q = j->q;

	if (q->lock) {
		q->lock_tail->next = j;
		q->lock_tail = j;
		return;
	}
	q->lock = q->lock_tail = j;
	make_ready(j);
}

static void job_end(struct job *j)
{
	struct qube *q = j->q;

	turn_begin();
	if (j->done)
		j->done(j->arg, j, j->fault.type ? &j->fault : NULL);
	turn_end(true);
	loop_timer_clear(jobs.loop, &j->timer);
	q->lock = j->next;
	if (q->lock)
		make_ready(q->lock);
	else
		q->lock_tail = NULL;
	qube_release(j->creator);
	free(j->data);
	free(j);
	qube_release(q);
}

static void to_undo(struct job *j)
{
	j->steps = j->undo;
	j->undo = NULL;
	j->undoing = true;
}

static void job_run(struct job *j)
{
	CHECK(!j->running);
	while (j->steps && *j->steps) {
		struct fault first = j->fault;
		enum job_result r;

		j->running = true;
		j->resumed = false;
		turn_begin();
		r = (*j->steps)(j);
		turn_end(r != JOB_FAILED);
		j->running = false;
		if (r == JOB_WAIT && !j->resumed)
			return;
		if (j->undoing && j->fault.type != first.type)
			LOG("%s of %s: undoing: %s", j->name, j->q->name, j->fault.text);
		if (j->undoing && first.type)
			j->fault = first;
		if (r == JOB_END)
			break;
		if (j->fault.type && !j->undoing)
			to_undo(j);
		else
			j->steps++;
	}
	job_end(j);
}

void job_resume(struct job *j)
{
	if (j->running) {
		j->resumed = true;
		return;
	}
	if (j->fault.type && !j->undoing)
		to_undo(j);
	else
		j->steps++;
	job_run(j);
}

static void on_later(void *arg, const char *failed)
{
	job_resume(arg);
}

void job_resume_later(struct job *j)
{
	turn_then(on_later, j);
}

void job_fail(struct job *j)
{
	CHECK(j->fault.type);
	job_resume(j);
}

void job_volumes(void *arg, const struct fault *fault)
{
	struct job *j = arg;

	if (fault && !j->fault.type)
		j->fault = *fault;
	else if (fault)
		LOG("%s of %s: %s", j->name, j->q->name, fault->text);
	job_resume(j);
}

static void answer_call(void *arg, struct job *j, const struct fault *fault)
{
	struct call *c = arg;

	if (fault)
		c->fault = *fault;
	call_finish(c);
}

void job_for_call(struct job *j, struct call *c)
{
	call_wait(c);
	j->done = answer_call;
	j->arg = c;
	job_start(j);
}
