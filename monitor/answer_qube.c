/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests that concern a qube's life. A creation goes through three hands: the broker (its
 * channels' socket), then at the same time the toolstack (the qube) and its QubesDB slice; whatever
 * fails undoes what was done before the answer. Its qrexec daemon begins with them: both wait for the
 * qube on their channels, and are there when it begins. On Xen a channel needs its domain, so there they
 * begin once it is made, and before it runs.
 */
#include <signal.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "monitor/monitor.h"

#define OPEN_MS    10000U  /* chosen */
#define CREATE_MS  300000U /* chosen: a large qube on a slow machine */
#define CHANGE_MS  30000U  /* chosen */
#define DESTROY_MS 60000U  /* chosen: memory of a large qube being freed */
#define NO_AGENT   3       /* protocol: how the qrexec daemon ends when no agent greets in time */

/* Creation. */

static void create_failed(struct qube *q, enum monitor_error error, uint32_t status,
                          const char *text)
{
	uint32_t serial = q->create_serial;
	struct monitor *m = q->monitor;
	uint32_t domid = q->domid;

	q->create_serial = 0;
	q->unborn = true;
	admin_failed(m, serial, domid, error, status, text);
}

static void on_destroyed(struct monitor *m, const struct pending *p,
                         const struct monitor_message *answer)
{
	struct qube *q = qube_find(m, p->domid);

	/* Done is said when its processes have ended too: qube_check_end(). */
	if (answer->kind != MONITOR_FAILED || !q)
		return;
	if (q->destroy_serial) {
		admin_failed(m, q->destroy_serial, q->domid,
		             (enum monitor_error)answer->failed.error, answer->failed.status,
		             answer->failed.text);
		q->destroy_serial = 0;
	}
	/* The ground does not know it, so nothing of it can be left there. */
	if (answer->failed.error == MONITOR_E_STATE)
		qube_gone(q, MONITOR_DESTROYED);
}

static void destroy(struct qube *q)
{
	struct monitor_message m = {.kind = MONITOR_DESTROY, .domid = q->domid};

	pending_ask(q->monitor, PROCESS_TOOLSTACK, &m, 0, DESTROY_MS, on_destroyed);
}

void qube_database_failed(struct qube *q)
{
	create_failed(q, MONITOR_E_PROGRAM, 0,
	              "the QubesDB of the qube does not start: see its log");
	if (qube_move(q, QUBE_DESTROY))
		destroy(q);
}

void qube_database_ready(struct qube *q)
{
	struct monitor_message m = {.kind = MONITOR_CREATED, .domid = q->domid};

	if (q->state != QUBE_DATABASE || !qube_move(q, QUBE_SERVED))
		return;
	if (!q->create_serial) {
		/* Who asked has ended: nobody would ever use it. */
		if (qube_move(q, QUBE_DESTROY))
			destroy(q);
		return;
	}
	m.serial = q->create_serial;
	q->create_serial = 0;
	admin_send(q->monitor, &m);
}

static void start_attendants(struct qube *q)
{
	const struct service *services = q->monitor->services;

	if (!services[PROCESS_DATABASE].absent)
		attendant_start(&q->database);
	if (!services[PROCESS_KEEPER].absent)
		attendant_start(&q->keeper);
}

static void on_created(struct monitor *m, const struct pending *p,
                       const struct monitor_message *answer)
{
	struct qube *q = qube_find(m, p->domid);

	if (!q)
		return;
	if (answer->kind != MONITOR_CREATED) {
		/* Said when its processes have ended: whoever has the answer may start it again. */
		q->failure = answer->failed;
		q->unborn = true;
		qube_gone(q, MONITOR_DESTROYED);
		return;
	}
	if (!qube_move(q, QUBE_CREATED)) {
		destroy(q);
		return;
	}
	if (channels_need_qube(m))
		start_attendants(q);
	if (q->state != QUBE_DATABASE)
		return;
	if (q->database.ready || m->services[PROCESS_DATABASE].absent)
		qube_database_ready(q);
	else if (!q->database.wanted)
		qube_database_failed(q);
}

/* The message for the toolstack is kept until the channels are there. */
static struct monitor_message creating[PENDING_MAX];

static void ask_toolstack(struct monitor *m, struct qube *q, struct monitor_message *create)
{
	if (!qube_move(q, QUBE_OPENED)) {
		create_failed(q, MONITOR_E_STATE, 0, "the qube was given up");
		qube_gone(q, MONITOR_DESTROYED);
		return;
	}
	create->domid = q->domid;
	if (!channels_need_qube(m))
		start_attendants(q);
	pending_ask(m, PROCESS_TOOLSTACK, create, 0, CREATE_MS, on_created);
}

static void on_opened(struct monitor *m, const struct pending *p,
                      const struct monitor_message *answer)
{
	struct qube *q = qube_find(m, p->domid);
	struct monitor_message *create = &creating[p->serial % PENDING_MAX];

	if (!q || q->state != QUBE_OPENING)
		return;
	if (answer->kind == MONITOR_DONE && create->domid == q->domid) {
		ask_toolstack(m, q, create);
		return;
	}
	create_failed(q, MONITOR_E_GROUND, 0,
	              "no channels for the qube: see the log of skerry-channels");
	qube_gone(q, MONITOR_DESTROYED);
}

static const struct qube *find_like(const struct monitor *m, const struct monitor_create *c)
{
	unsigned int seen = 0;

	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX && seen < m->n_qubes; domid++) {
		const struct qube *q = m->by_domid[domid];

		if (!q)
			continue;
		seen++;
		if (memcmp(q->uuid, c->uuid, sizeof(q->uuid)) == 0 || strcmp(q->name, c->name) == 0)
			return q;
	}
	return NULL;
}

void answer_create(struct monitor *m, const struct monitor_message *request)
{
	struct monitor_message open = {.kind = MONITOR_CHANNELS_OPEN};
	struct monitor_message create = *request;
	uint32_t domid;
	struct qube *q;

	if (m->stopping) {
		admin_failed(m, request->serial, 0, MONITOR_E_STATE, 0,
		             "the system is being stopped");
		return;
	}
	if (find_like(m, &request->create)) {
		admin_failed(m, request->serial, 0, MONITOR_E_EXISTS, 0, "the qube runs already");
		return;
	}
	domid = domid_next(m);
	q = domid ? qube_new(m, domid, request->create.uuid, request->create.name) : NULL;
	if (!q) {
		admin_failed(m, request->serial, 0, MONITOR_E_LIMIT, 0,
		             "no number for another qube");
		return;
	}
	memcpy(q->user, request->create.default_user, sizeof(q->user));
	q->owner = request->create.owner;
	q->create_serial = request->serial;
	if (m->services[PROCESS_CHANNELS].absent) {
		ask_toolstack(m, q, &create);
		return;
	}
	open.domid = domid;
	open.channels.owner = q->owner;
	/* The question's place is known only after it was asked; its answer comes later than this. */
	pending_ask(m, PROCESS_CHANNELS, &open, 0, OPEN_MS, on_opened);
	if (open.serial) {
		create.domid = domid;
		creating[open.serial % PENDING_MAX] = create;
	}
}

/* Changes. */

static void refuse(struct monitor *m, const struct monitor_message *request)
{
	const struct qube *q = qube_find(m, request->domid);

	admin_failed(m, request->serial, request->domid, MONITOR_E_STATE, 0,
	             q ? "the qube is in no state for that" : "no such qube runs");
}

static void on_changed(struct monitor *m, const struct pending *p,
                       const struct monitor_message *answer)
{
	struct qube *q = qube_find(m, p->domid);
	enum qube_event event = p->kind == MONITOR_UNPAUSE ? QUBE_UNPAUSED
	                        : p->kind == MONITOR_PAUSE ? QUBE_PAUSE_DONE
	                                                   : QUBE_ASKED;
	struct monitor_message out = *answer;

	if (q && answer->kind == MONITOR_DONE && p->kind != MONITOR_NETWORK && qube_move(q, event))
		qube_tell(q);
	out.serial = p->origin;
	if (p->origin)
		admin_send(m, &out);
}

/* The state changes when it is done; now it is only looked whether it may. */
static void change(struct monitor *m, const struct monitor_message *request, enum qube_event event)
{
	const struct qube *q = qube_find(m, request->domid);
	struct monitor_message out = *request;

	if (!q || qube_state_next(q->state, event) == QUBE_NONE)
		refuse(m, request);
	else
		pending_ask(m, PROCESS_TOOLSTACK, &out, request->serial, CHANGE_MS, on_changed);
}

void answer_unpause(struct monitor *m, const struct monitor_message *request)
{
	change(m, request, QUBE_UNPAUSED);
}

void answer_pause(struct monitor *m, const struct monitor_message *request)
{
	change(m, request, QUBE_PAUSE_DONE);
}

void answer_shutdown(struct monitor *m, const struct monitor_message *request)
{
	change(m, request, QUBE_ASKED);
}

void answer_network(struct monitor *m, const struct monitor_message *request)
{
	change(m, request, QUBE_NETWORK);
}

void answer_destroy(struct monitor *m, const struct monitor_message *request)
{
	struct qube *q = qube_find(m, request->domid);

	if (!q || q->destroy_serial || !qube_move(q, QUBE_DESTROY)) {
		refuse(m, request);
		return;
	}
	q->destroy_serial = request->serial;
	if (!q->ended)
		destroy(q);
}

static void on_stats(struct monitor *m, const struct pending *p,
                     const struct monitor_message *answer)
{
	struct monitor_message out = *answer;

	out.serial = p->origin;
	if (p->origin)
		admin_send(m, &out);
}

void answer_stats(struct monitor *m, const struct monitor_message *request)
{
	struct monitor_message out = *request;

	pending_ask(m, PROCESS_TOOLSTACK, &out, request->serial, CHANGE_MS, on_stats);
}

/* The qrexec daemon. */

void qube_keeper_ready(struct qube *q)
{
	uint32_t serial = q->qrexec_serial;

	q->qrexec_serial = 0;
	loop_timer_clear(q->monitor->loop, &q->qrexec_limit);
	admin_done(q->monitor, serial, q->domid, 0);
}

void qube_keeper_ended(struct qube *q, int wait_status)
{
	uint32_t serial = q->qrexec_serial;

	q->qrexec_serial = 0;
	loop_timer_clear(q->monitor->loop, &q->qrexec_limit);
	admin_failed(q->monitor, serial, q->domid, MONITOR_E_PROGRAM,
	             q->late ? NO_AGENT : monitor_exit_status(wait_status),
	             q->late ? "no agent greeted the qrexec daemon in time"
	                     : "the qrexec daemon ended: see its log");
}

/* The daemon itself waits for its agent as long as it takes. */
static void on_agent_late(void *arg)
{
	struct qube *q = arg;

	q->late = true;
	q->keeper.wanted = false;
	proc_signal(&q->keeper.proc, SIGTERM);
}

void answer_qrexec(struct monitor *m, const struct monitor_message *request)
{
	struct qube *q = qube_find(m, request->domid);

	if (!q || q->qrexec_serial || qube_state_next(q->state, QUBE_QREXEC) == QUBE_NONE) {
		refuse(m, request);
		return;
	}
	memcpy(q->user, request->qrexec.default_user, sizeof(q->user));
	if (!proc_runs(&q->keeper.proc))
		attendant_start(&q->keeper);
	q->late = false;
	q->keeper.wanted = true;
	if (q->keeper.ready || request->qrexec.timeout == 0) {
		admin_done(m, request->serial, q->domid, 0);
		return;
	}
	q->qrexec_serial = request->serial;
	if (loop_timer_set(m->loop, &q->qrexec_limit, request->qrexec.timeout * 1000U,
	                   on_agent_late, q))
		on_agent_late(q);
}
