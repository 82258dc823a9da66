/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_LIFECYCLE_H
#define SERVICES_ADMIN_LIFECYCLE_H

#include "proto/monitor.h"
#include "services/admin/call.h"
#include "services/admin/job.h"
#include "services/admin/model.h"

/* Start, stop, pause, suspend: the order of steps is the order of events that clients see. */

/** lifecycle_found() - at our start: a qube that runs already */
void lifecycle_found(const struct monitor_message *m);
/** lifecycle_settle() - after the start: qubes that stopped meanwhile, connections to those that run */
void lifecycle_settle(void);
/** lifecycle_event() - QUBE, STOPPED, STAT of the monitor */
void lifecycle_event(const struct monitor_message *m);

/** lifecycle_start() - a job that starts the qube, with its netvms; success if it runs already */
struct job *lifecycle_start(struct qube *q);

/** lifecycle_kill() - end it; fn after "domain-shutdown" was made, or with why not */
typedef void (*lifecycle_done)(void *arg, const struct fault *fault);
void lifecycle_kill(struct qube *q, lifecycle_done fn, void *arg);

/** lifecycle_pause(), lifecycle_unpause() - with their events */
void lifecycle_pause(struct qube *q, lifecycle_done fn, void *arg);
void lifecycle_unpause(struct qube *q, lifecycle_done fn, void *arg);

/** lifecycle_when_stopped() - fn when the qube's stop is handled, or with a fault after timeout_ms */
void lifecycle_when_stopped(struct qube *q, uint32_t timeout_ms, lifecycle_done fn, void *arg);

/** lifecycle_answer() - a lifecycle_done that finishes the waiting call which is its arg */
void lifecycle_answer(void *arg, const struct fault *fault);

void method_start(struct call *c);
void method_shutdown(struct call *c);
void method_kill(struct call *c);
void method_pause(struct call *c);
void method_unpause(struct call *c);
void method_suspend(struct call *c);
void method_resume(struct call *c);
void method_console(struct call *c);
void method_current_state(struct call *c);
void method_suspend_pre(struct call *c);
void method_suspend_post(struct call *c);

#endif
