/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of qubes: what each is, its end, and what the monitor makes of the table that a toolstack
 * brings when it begins.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "monitor/monitor.h"

#define CLOSE_MS 10000U /* for the broker; chosen */

struct qube *qube_find(const struct monitor *m, uint32_t domid)
{
	return domid <= MONITOR_DOMID_MAX ? m->by_domid[domid] : NULL;
}

struct qube *qube_new(struct monitor *m, uint32_t domid, const uint8_t uuid[MONITOR_UUID_LEN],
                      const char *name)
{
	struct qube *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->monitor = m;
	q->domid = domid;
	memcpy(q->uuid, uuid, sizeof(q->uuid));
	(void)bytes_copy_text(q->name, sizeof(q->name), name);
	q->state = QUBE_OPENING;
	q->cause = MONITOR_CRASH;
	attendants_init(q);
	m->by_domid[domid] = q;
	m->n_qubes++;
	return q;
}

bool qube_move(struct qube *q, enum qube_event event)
{
	enum qube_state next = qube_state_next(q->state, event);

	if (next == QUBE_NONE)
		return false;
	q->state = next;
	return true;
}

enum monitor_state qube_shown_state(const struct qube *q)
{
	switch (q->state) {
	case QUBE_RUNNING:
		return MONITOR_RUNNING;
	case QUBE_HALTING:
		return MONITOR_HALTING;
	case QUBE_DYING:
		return MONITOR_DYING;
	case QUBE_NONE:
	case QUBE_OPENING:
	case QUBE_CREATING:
	case QUBE_DATABASE:
	case QUBE_PAUSED:
	case QUBE_STATES:
	default:
		return MONITOR_PAUSED;
	}
}

/* The end. */

static void on_closed(struct monitor *m, const struct pending *p,
                      const struct monitor_message *answer)
{
	(void)m;
	/* A broker that starts anew is told of those that are. */
	if (answer->kind == MONITOR_FAILED && answer->failed.error != MONITOR_E_GONE)
		LOG("channels of %u: %s", p->domid, answer->failed.text);
}

static void close_channels(struct qube *q)
{
	struct monitor_message m = {.kind = MONITOR_CHANNELS_CLOSE, .domid = q->domid};

	if (!q->monitor->services[PROCESS_CHANNELS].absent)
		pending_ask(q->monitor, PROCESS_CHANNELS, &m, 0, CLOSE_MS, on_closed);
}

static void tell_end(struct qube *q)
{
	struct monitor *m = q->monitor;
	struct monitor_message out = {.kind = MONITOR_STOPPED, .domid = q->domid};

	memcpy(out.stopped.uuid, q->uuid, sizeof(out.stopped.uuid));
	out.stopped.cause = q->cause;
	if (q->create_serial && q->failure.error)
		admin_failed(m, q->create_serial, q->domid, (enum monitor_error)q->failure.error,
		             q->failure.status, q->failure.text);
	else if (q->create_serial)
		admin_failed(m, q->create_serial, q->domid, MONITOR_E_GROUND, 0,
		             "the qube ended while it was being made");
	else if (!q->unborn)
		admin_send(m, &out);
	admin_failed(m, q->qrexec_serial, q->domid, MONITOR_E_STATE, 0, "the qube has ended");
	admin_done(m, q->destroy_serial, q->domid, 0);
}

void qube_check_end(struct qube *q)
{
	struct monitor *m = q->monitor;

	if (!q->ended || proc_runs(&q->database.proc) || proc_runs(&q->keeper.proc))
		return;
	close_channels(q);
	tell_end(q);
	loop_timer_clear(m->loop, &q->qrexec_limit);
	m->by_domid[q->domid] = NULL;
	m->n_qubes--;
	free(q);
	if (m->stopping)
		stop_go_on(m);
}

void qube_gone(struct qube *q, enum monitor_cause cause)
{
	if (q->ended)
		return;
	if (!qube_move(q, QUBE_ENDED))
		q->state = QUBE_DYING;
	q->cause = cause;
	q->ended = true;
	attendant_end(&q->keeper);
	attendant_end(&q->database);
	qube_check_end(q);
}

/* A new broker has no sockets but dom0's. */
static void on_reopened(struct monitor *m, const struct pending *p,
                        const struct monitor_message *answer)
{
	(void)m;
	if (answer->kind == MONITOR_FAILED)
		LOG("channels of qube %u: %s", p->domid, answer->failed.text);
}

void qubes_open_channels(struct monitor *m)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		const struct qube *q = m->by_domid[domid];
		struct monitor_message open = {.kind = MONITOR_CHANNELS_OPEN, .domid = domid};

		if (!q || q->ended || q->state == QUBE_OPENING)
			continue;
		open.channels.owner = q->owner;
		pending_ask(m, PROCESS_CHANNELS, &open, 0, CLOSE_MS, on_reopened);
	}
}

/* What a toolstack says when it begins. */

void qubes_table_begin(struct monitor *m)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		if (m->by_domid[domid])
			m->by_domid[domid]->seen = false;
}

static enum qube_state state_of_row(const struct monitor_message *row)
{
	switch (row->qube.state) {
	case MONITOR_RUNNING:
		return QUBE_RUNNING;
	case MONITOR_HALTING:
		return QUBE_HALTING;
	default:
		return QUBE_PAUSED;
	}
}

static void ignore_answer(struct monitor *m, const struct pending *p,
                          const struct monitor_message *answer)
{
	(void)m;
	(void)p;
	(void)answer;
}

void qubes_table_row(struct monitor *m, const struct monitor_message *row)
{
	struct qube *q = qube_find(m, row->domid);

	if (!q && (m->adopting || m->n_qubes < MONITOR_DOMID_MAX)) {
		q = qube_new(m, row->domid, row->qube.uuid, row->qube.name);
		if (!q) {
			LOG("no memory for qube %u", row->domid);
			return;
		}
		(void)bytes_copy_text(q->user, sizeof(q->user), "user");
		q->state = state_of_row(row);
		q->seen = true;
		if (m->adopting)
			LOG("%s (%u) goes on", q->name, q->domid);
		else
			/* Made by a toolstack that ended before it could say so: nobody waits for it. */
			q->state = QUBE_DYING;
		return;
	}
	if (!q)
		return;
	q->seen = true;
	if (q->state == QUBE_PAUSED || q->state == QUBE_RUNNING || q->state == QUBE_HALTING)
		q->state = state_of_row(row);
}

/* Only when the toolstack takes questions. */
static void end_strays(struct monitor *m)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct qube *q = m->by_domid[domid];
		struct monitor_message destroy = {.kind = MONITOR_DESTROY, .domid = domid};

		if (q && !q->ended && q->state == QUBE_DYING)
			pending_ask(m, PROCESS_TOOLSTACK, &destroy, 0, CLOSE_MS * 3, ignore_answer);
	}
}

void qubes_table_end(struct monitor *m)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct qube *q = m->by_domid[domid];

		if (!q || q->ended || q->seen || q->state == QUBE_OPENING)
			continue;
		LOG("%s (%u) ended while no toolstack watched it", q->name, q->domid);
		qube_gone(q, q->state == QUBE_HALTING ? MONITOR_OFF : MONITOR_CRASH);
	}
	m->table_known = true;
	m->services[PROCESS_TOOLSTACK].ready = true;
	if (m->adopting)
		attendants_adopt(m);
	if (m->services[PROCESS_CHANNELS].ready)
		qubes_open_channels(m);
	m->adopting = false;
	end_strays(m);
	if (m->hello_waits)
		admin_tell_table(m);
	services_start(m);
}
