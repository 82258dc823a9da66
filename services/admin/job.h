/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_JOB_H
#define SERVICES_ADMIN_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "services/admin/call.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * Work on one qube that waits in between: a table of steps, run one after the other, each in a turn of
 * its own. Jobs on one qube run one after the other, in the order in which they were started.
 *
 * A step that fails (JOB_FAILED, with j->fault set) ends the table: the steps of j->undo, as the steps
 * so far left it, run instead; what they fail at is logged, the first fault is the job's.
 */
enum job_result {
	JOB_NEXT,   /* on to the next step */
	JOB_WAIT,   /* job_resume() or job_fail() comes later */
	JOB_FAILED, /* j->fault says why */
	JOB_END,    /* done: the rest of the steps is not needed */
};

struct job;
typedef enum job_result (*job_step)(struct job *j);

struct job {
	const char *name;      /* for the log */
	const job_step *steps; /* the next one; NULL ends */
	const job_step *undo;  /* or NULL */
	struct qube *q;        /* held */
	struct job *next;      /* waits for the same qube */
	struct job *next_ready;
	struct fault fault;
	bool undoing, running, resumed;
	/* In an open turn, when all steps are done; fault NULL: success. The job is freed after it. */
	void (*done)(void *arg, struct job *j, const struct fault *fault);
	void *arg;
	struct loop_timer timer;
	/* What the steps keep. */
	bool force;
	uint32_t domid;
	struct qube *creator; /* held */
	void *data;           /* owned: free() */
};

void job_init(struct loop *loop);
struct loop *job_loop(void);

/** job_start() - run, or wait for the qube; outside of a turn or in one (then it begins after it) */
struct job *job_new(const char *name, const job_step *steps, struct qube *q);
void job_start(struct job *j);

/** job_resume(), job_fail() - what a step waited for came; also from within that step */
void job_resume(struct job *j);
void job_fail(struct job *j);
/** job_resume_later() - from within another job's turn */
void job_resume_later(struct job *j);

/** job_volumes() - answers of volumes.h: resumes or fails the job that is @arg */
void job_volumes(void *arg, const struct fault *fault);

/** job_for_call() - the call is answered when the job is done, with its fault if it failed */
void job_for_call(struct job *j, struct call *c);

#endif
