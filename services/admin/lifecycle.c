/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting and stopping of qubes. The order of steps is that of the events which clients see:
 * doc/protocol/core-model.md, Start and Stop.
 */
#include "services/admin/lifecycle.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "services/admin/create.h"
#include "services/admin/devices.h"
#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/lifecycle_internal.h"
#include "services/admin/methods.h"
#include "services/admin/network.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/volumes.h"

#define CREATE_WAIT_MS  120000U
#define STATE_WAIT_MS   30000U
#define QREXEC_MORE_MS  15000U
#define DESTROY_WAIT_MS 60000U

static void set_state(struct qube *q, enum qube_state state)
{
	if (q->run.state != state)
		world.changes++;
	q->run.state = state;
}

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void lifecycle_numbers_changed(struct qube *q)
{
	property_changed(q, PROP_XID);
	property_changed(q, PROP_STUBDOM_XID);
	property_changed(q, PROP_START_TIME);
}

static enum job_result refuse_start(struct job *j, const char *type, const char *fmt,
                                    const char *with)
{
	AUTO_TEXT text = {0};

	text_puts(&text, fmt);
	text_puts(&text, with);
	fault_set(&j->fault, type, "%s", text_get(&text));
	return JOB_FAILED;
}

static enum job_result step_begin(struct job *j)
{
	const char *why = feature_get(j->q, "prohibit-start");

	if (j->q->gone)
		return refuse_start(j, E_NOT_FOUND, "No such domain: ", j->q->name);
	if (j->q->run.state != STATE_HALTED)
		return JOB_END;
	if (!feature_true(why))
		return JOB_NEXT;
	return refuse_start(j, E_QUBES, "Qube start is prohibited. Rationale: ", why);
}

static enum job_result step_pre_start(struct job *j)
{
	struct qube *template =
	        property_has(j->q, PROP_TEMPLATE) ? property_qube(j->q, PROP_TEMPLATE) : NULL;

	event_fire(j->q, "domain-pre-start", "start_guid", "True", "mem_required", "None", NULL);
	if (tag_has(j->q, "backup-restore-in-progress"))
		return refuse_start(j, E_QUBES,
		                    "Restore of this qube is in progress, cannot start: ",
		                    j->q->name);
	if (j->q->klass == CLASS_DISP &&
	    (!template || !property_bool(template, PROP_TEMPLATE_FOR_DISPVMS)))
		return refuse_start(
		        j, E_QUBES,
		        "template for disposable needs to have template_for_dispvms=True: ",
		        template ? template->name : "None");
	if (property_has(j->q, PROP_TEMPLATE) && !template)
		return refuse_start(j, E_NO_TEMPLATE,
		                    "Template for the domain not found: ", j->q->name);
	return devices_required(j->q, &j->fault) ? JOB_NEXT : JOB_FAILED;
}

static enum job_result step_verify(struct job *j)
{
	volumes_verify(j->q, job_volumes, j);
	return JOB_WAIT;
}

static void netvm_started(void *arg, struct job *netvm, const struct fault *fault)
{
	struct job *j = arg;

	if (fault)
		j->fault = *fault;
	/* This is the netvm's last turn: the waiting job goes on after it. */
	job_resume_later(j);
}

static enum job_result step_netvm(struct job *j)
{
	struct qube *netvm = network_netvm(j->q);
	struct job *start;

	event_fire(j->q, "domain-verify-files", NULL);
	if (!netvm || netvm->klass == CLASS_ADMIN || netvm->run.state != STATE_HALTED)
		return JOB_NEXT;
	start = lifecycle_start(netvm);
	start->done = netvm_started;
	start->arg = j;
	job_start(start);
	return JOB_WAIT;
}

static enum job_result step_volumes(struct job *j)
{
	volumes_start(j->q, job_volumes, j);
	return JOB_WAIT;
}

static enum job_result undo_volumes(struct job *j)
{
	volumes_stop(j->q, job_volumes, j);
	return JOB_WAIT;
}

/* What the ground said, without where to read more. */
static void start_failed(struct job *j)
{
	const char *text = j->fault.text, *end;
	AUTO_TEXT reason = {0};

	if (text_starts(text, "Start failed: ")) {
		text += strlen("Start failed: ");
		end = strstr(text, ", see /");
		text_add(&reason, text, end ? (size_t)(end - text) : strlen(text));
		text = text_get(&reason);
	}
	event_fire(j->q, "domain-start-failed", "reason", text, NULL);
}

static enum job_result undo_told(struct job *j)
{
	start_failed(j);
	if (j->q->klass == CLASS_DISP && property_bool(j->q, PROP_AUTO_CLEANUP) && !j->q->gone &&
	    j->q->run.state == STATE_HALTED) {
		event_fire(world.system, "domain-pre-delete", "vm", j->q->name, NULL);
		remove_rows(j->q);
	}
	return JOB_NEXT;
}

/* It runs half: what STOPPED brings with it (lifecycle_stopped()) comes after this job. */
static enum job_result undo_destroy(struct job *j)
{
	start_failed(j);
	if (j->q->run.domid)
		ground_simple(j->q, MONITOR_DESTROY, DESTROY_WAIT_MS, NULL, NULL);
	return JOB_NEXT;
}

static const job_step undo_early[] = {undo_told, NULL};
static const job_step undo_created[] = {undo_told, undo_volumes, NULL};
static const job_step undo_running[] = {undo_destroy, NULL};

/*
 * "domain-pre-spawn" says that there is memory for the qube, which only the ground knows: it is told with
 * the answer.
 */
static void on_created(void *arg, const struct monitor_message *m)
{
	struct job *j = arg;

	if (m->kind == MONITOR_CREATED || m->failed.error != MONITOR_E_MEMORY) {
		turn_begin();
		event_fire(j->q, "domain-pre-spawn", "start_guid", "True", NULL);
		turn_end(true);
	}
	if (m->kind == MONITOR_CREATED) {
		j->domid = m->domid;
	} else if (m->failed.error == MONITOR_E_MEMORY) {
		fault_set(&j->fault, E_MEMORY, "Not enough memory to start domain '%s'",
		          j->q->name);
	} else {
		fault_set(&j->fault, E_QUBES, "Start failed: %s",
		          m->failed.text[0] ? m->failed.text : "the ground gave no reason");
	}
	job_resume(j);
}

static enum job_result step_create(struct job *j)
{
	struct qube *netvm = network_netvm(j->q);
	struct monitor_message m;

	j->undo = undo_created;
	if (netvm) {
		qdb_netvm(netvm);
		qdb_firewall(j->q);
	}
	ground_create_message(j->q, &m);
	ground_ask(&m, CREATE_WAIT_MS, on_created, j);
	return JOB_WAIT;
}

static void on_filled(void *arg, bool ok)
{
	struct job *j = arg;

	if (!ok)
		fault_set(&j->fault, E_VM, "QubesDB of %s cannot be written", j->q->name);
	job_resume(j);
}

static enum job_result step_spawned(struct job *j)
{
	j->undo = undo_running;
	j->q->run.domid = j->domid;
	j->q->run.qrexec = false;
	j->q->run.start_time = now_seconds();
	set_state(j->q, STATE_PAUSED);
	lifecycle_numbers_changed(j->q);
	event_fire(j->q, "domain-spawn", "start_guid", "True", NULL);
	qdb_open(j->q);
	qdb_fill(j->q, on_filled, j);
	return JOB_WAIT;
}

static void on_state(void *arg, const struct monitor_message *m)
{
	struct job *j = arg;

	j->q->run.asked--;
	if (m->kind == MONITOR_FAILED)
		fault_set(&j->fault, E_QUBES, "Start failed: %s", m->failed.text);
	job_resume(j);
}

static enum job_result step_unpause(struct job *j)
{
	event_fire(j->q, "domain-qdb-create", NULL);
	event_fire(j->q, "domain-pre-unpaused", NULL);
	j->q->run.asked++;
	ground_simple(j->q, MONITOR_UNPAUSE, STATE_WAIT_MS, on_state, j);
	return JOB_WAIT;
}

static void on_qrexec(void *arg, const struct monitor_message *m)
{
	struct job *j = arg;

	if (m->kind == MONITOR_FAILED && m->failed.error == MONITOR_E_PROGRAM &&
	    m->failed.status == 3)
		fault_set(&j->fault, E_VM,
		          "Cannot connect to qrexec agent for %lld seconds, see "
		          "/var/log/xen/console/guest-%s.log for details",
		          property_int(j->q, PROP_QREXEC_TIMEOUT), j->q->name);
	else if (m->kind == MONITOR_FAILED && m->failed.error == MONITOR_E_TIMEOUT)
		fault_set(&j->fault, E_VM,
		          "Cannot connect to qrexec agent for %lld seconds, see "
		          "/var/log/xen/console/guest-%s.log for details",
		          property_int(j->q, PROP_QREXEC_TIMEOUT), j->q->name);
	else if (m->kind == MONITOR_FAILED)
		fault_set(&j->fault, E_VM, "qrexec-daemon startup failed: %s", m->failed.text);
	job_resume(j);
}

static enum job_result step_qrexec(struct job *j)
{
	struct monitor_message m = {.kind = MONITOR_QREXEC, .domid = j->q->run.domid};
	bool agent = feature_true(feature_with_template(j->q, "qrexec"));
	long long timeout = property_int(j->q, PROP_QREXEC_TIMEOUT);

	set_state(j->q, STATE_RUNNING);
	event_fire(j->q, "domain-unpaused", NULL);
	m.qrexec.timeout = !agent                          ? 0
	                   : timeout > MONITOR_TIMEOUT_MAX ? MONITOR_TIMEOUT_MAX
	                                                   : (uint32_t)timeout;
	(void)bytes_copy_text(m.qrexec.name, sizeof(m.qrexec.name), j->q->name);
	ground_user(m.qrexec.default_user, sizeof(m.qrexec.default_user), j->q);
	ground_uuid_bytes(j->q->uuid, m.qrexec.uuid);
	ground_ask(&m, m.qrexec.timeout * 1000U + QREXEC_MORE_MS, on_qrexec, j);
	return JOB_WAIT;
}

static void connect_client(void *arg, struct qube *client)
{
	if (qube_active(client) && client->run.domid && client->run.state != STATE_PAUSED)
		ground_network(client, arg);
}

static enum job_result step_started(struct job *j)
{
	struct qube *q = j->q;

	q->run.qrexec = true;
	world.changes++;
	event_fire(q, "domain-start", "start_guid", "True", NULL);
	if (property_bool(q, PROP_PROVIDES_NETWORK))
		network_clients(q, connect_client, q);
	if (network_netvm(q))
		qdb_firewall(q);
	devices_started(q);
	return JOB_NEXT;
}

struct job *lifecycle_start(struct qube *q)
{
	static const job_step steps[] = {step_begin,   step_pre_start, step_verify,  step_netvm,
	                                 step_volumes, step_create,    step_spawned, step_unpause,
	                                 step_qrexec,  step_started,   NULL};
	struct job *j = job_new("start", steps, q);

	j->undo = undo_early;
	return j;
}

void method_start(struct call *c)
{
	if (c->dest->klass == CLASS_ADMIN)
		call_refuse(c, E_NOT_HALTED, "Cannot start Dom0 fake domain!");
	else if (c->dest->klass == CLASS_REMOTE)
		call_refuse(c, E_NOT_HALTED, "Cannot start a RemoteVM.");
	else if (c->dest->run.state == STATE_HALTED || c->dest->lock)
		job_for_call(lifecycle_start(c->dest), c);
}

/* Everything of the qube is gone: commit, tell, clean up. One after the other with starts. */
static enum job_result step_stop_volumes(struct job *j)
{
	if (!j->q->run.domid || j->q->run.domid != j->domid)
		return JOB_END;
	volumes_stop(j->q, job_volumes, j);
	return JOB_WAIT;
}

static void cut_client(void *arg, struct qube *client)
{
	if (!qube_active(client) || !client->run.domid)
		return;
	if (client->run.state == STATE_PAUSED)
		network_defer(client, arg);
	else
		ground_network(client, NULL);
}

static enum job_result step_stopped(struct job *j)
{
	struct qube *q = j->q;
	bool cleanup = q->klass == CLASS_DISP && property_bool(q, PROP_AUTO_CLEANUP);

	qdb_close(q);
	q->run.domid = q->run.stub_domid = 0;
	q->run.qrexec = false;
	q->run.start_time = 0;
	q->run.memory_kib = q->run.cpu_ns = 0;
	set_state(q, STATE_HALTED);
	event_fire(q, "domain-stopped", NULL);
	lifecycle_numbers_changed(q);
	if (feature_get(q, "deferred-netvm-original"))
		feature_drop(q, "deferred-netvm-original");
	if (property_bool(q, PROP_PROVIDES_NETWORK))
		network_clients(q, cut_client, q);
	event_fire(q, "domain-shutdown", NULL);
	devices_stopped(q);
	preload_stopped(q);
	if (cleanup) {
		event_fire(world.system, "domain-pre-delete", "vm", q->name, NULL);
		remove_rows(q);
	}
	lifecycle_tell_stopped(q);
	return JOB_NEXT;
}

void lifecycle_stopped(struct qube *q)
{
	static const job_step steps[] = {step_stop_volumes, step_stopped, NULL};
	/* Volumes that cannot be committed do not keep the qube from being halted. */
	static const job_step undo[] = {step_stopped, NULL};
	struct job *j = job_new("stop", steps, q);

	j->undo = undo;
	j->domid = q->run.domid;
	set_state(q, STATE_DYING);
	job_start(j);
}
