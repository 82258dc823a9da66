/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that may be said to the monitor: one table of who may say what. There is no default row:
 * what is not in it ends who said it, and never the monitor.
 */
#include "lib/base/log.h"
#include "monitor/monitor.h"

static void toolstack_hello(struct service *s, const struct monitor_message *m)
{
	if (m->hello.version == MONITOR_VERSION)
		qubes_table_begin(s->monitor);
	else
		service_misbehaved(s, "speaks another version");
}

static void toolstack_row(struct service *s, const struct monitor_message *m)
{
	if (s->monitor->table_known)
		service_misbehaved(s, "a row after the table");
	else
		qubes_table_row(s->monitor, m);
}

static void toolstack_end(struct service *s, const struct monitor_message *m)
{
	(void)m;
	if (s->monitor->table_known)
		service_misbehaved(s, "a second table");
	else
		qubes_table_end(s->monitor);
}

static void toolstack_stopped(struct service *s, const struct monitor_message *m)
{
	struct qube *q = qube_find(s->monitor, m->domid);

	if (q)
		qube_gone(q, (enum monitor_cause)m->stopped.cause);
}

/* One of the rows that answer STATS. */
static void toolstack_stat(struct service *s, const struct monitor_message *m)
{
	const struct pending *p = pending_find(s->monitor, s->id, m->serial);
	struct monitor_message row = *m;

	if (!p || p->kind != MONITOR_STATS) {
		service_misbehaved(s, "figures that nobody asked for");
		return;
	}
	row.serial = p->origin;
	if (p->origin)
		admin_send(s->monitor, &row);
}

static void answered(struct service *s, const struct monitor_message *m)
{
	if (!pending_answer(s->monitor, s->id, m))
		LOG("%s answers too late", process_rules[s->id].program);
}

#define ASKS(name)                                                                                 \
	static void admin_##name(struct service *s, const struct monitor_message *m)               \
	{                                                                                          \
		answer_##name(s->monitor, m);                                                      \
	}
ASKS(hello)
ASKS(create)
ASKS(unpause)
ASKS(pause)
ASKS(shutdown)
ASKS(destroy)
ASKS(network)
ASKS(stats)
ASKS(qrexec)
ASKS(call)

/* who, what, what is done */
static const struct {
	enum process_id from;
	uint32_t kind;
	void (*handle)(struct service *s, const struct monitor_message *m);
} requests[] = {
        {PROCESS_ADMIN, MONITOR_HELLO, admin_hello},
        {PROCESS_ADMIN, MONITOR_CREATE, admin_create},
        {PROCESS_ADMIN, MONITOR_UNPAUSE, admin_unpause},
        {PROCESS_ADMIN, MONITOR_PAUSE, admin_pause},
        {PROCESS_ADMIN, MONITOR_SHUTDOWN, admin_shutdown},
        {PROCESS_ADMIN, MONITOR_DESTROY, admin_destroy},
        {PROCESS_ADMIN, MONITOR_NETWORK, admin_network},
        {PROCESS_ADMIN, MONITOR_STATS, admin_stats},
        {PROCESS_ADMIN, MONITOR_QREXEC, admin_qrexec},
        {PROCESS_ADMIN, MONITOR_CALL, admin_call},
        {PROCESS_TOOLSTACK, MONITOR_HELLO, toolstack_hello},
        {PROCESS_TOOLSTACK, MONITOR_QUBE, toolstack_row},
        {PROCESS_TOOLSTACK, MONITOR_END, toolstack_end},
        {PROCESS_TOOLSTACK, MONITOR_STOPPED, toolstack_stopped},
        {PROCESS_TOOLSTACK, MONITOR_STAT, toolstack_stat},
        {PROCESS_TOOLSTACK, MONITOR_CREATED, answered},
        {PROCESS_TOOLSTACK, MONITOR_DONE, answered},
        {PROCESS_TOOLSTACK, MONITOR_FAILED, answered},
        {PROCESS_CHANNELS, MONITOR_DONE, answered},
        {PROCESS_CHANNELS, MONITOR_FAILED, answered},
};

void requests_handle(struct service *s, const struct monitor_message *message)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].from != s->id || requests[i].kind != message->kind)
			continue;
		requests[i].handle(s, message);
		return;
	}
	service_misbehaved(s, "a message that it may not send");
}
