/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes out to the admin service, and what it is told when it begins. */
#include <string.h>

#include "lib/base/bytes.h"
#include "monitor/monitor.h"

void admin_send(struct monitor *m, const struct monitor_message *message)
{
	link_send(&m->services[PROCESS_ADMIN].link, message);
}

void admin_done(struct monitor *m, uint32_t serial, uint32_t domid, uint32_t status)
{
	struct monitor_message out = {.kind = MONITOR_DONE, .serial = serial, .domid = domid};

	out.done.status = status;
	if (serial)
		admin_send(m, &out);
}

void admin_failed(struct monitor *m, uint32_t serial, uint32_t domid, enum monitor_error error,
                  uint32_t status, const char *text)
{
	struct monitor_message out = {.kind = MONITOR_FAILED, .serial = serial, .domid = domid};

	out.failed.error = error;
	out.failed.status = status;
	(void)bytes_copy_text(out.failed.text, sizeof(out.failed.text), text);
	if (serial)
		admin_send(m, &out);
}

void qube_tell(struct qube *q)
{
	struct monitor_message out = {.kind = MONITOR_QUBE, .domid = q->domid};

	memcpy(out.qube.uuid, q->uuid, sizeof(out.qube.uuid));
	memcpy(out.qube.name, q->name, sizeof(out.qube.name));
	out.qube.state = qube_shown_state(q);
	admin_send(q->monitor, &out);
}

void admin_tell_table(struct monitor *m)
{
	struct monitor_message row = {.kind = MONITOR_QUBE, .serial = m->hello_serial};
	struct monitor_message end = {.kind = MONITOR_END, .serial = m->hello_serial};

	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX && m->n_qubes > 0; domid++) {
		const struct qube *q = m->by_domid[domid];

		/* Those that are being made were asked for by an admin service that has ended: they are
		 * ended when they are there (qube.c), and nobody needs to know of them. */
		if (!q || q->state < QUBE_PAUSED)
			continue;
		row.domid = domid;
		memcpy(row.qube.uuid, q->uuid, sizeof(row.qube.uuid));
		memcpy(row.qube.name, q->name, sizeof(row.qube.name));
		row.qube.state = qube_shown_state(q);
		admin_send(m, &row);
	}
	admin_send(m, &end);
	m->hello_waits = false;
}

void answer_hello(struct monitor *m, const struct monitor_message *request)
{
	if (request->hello.version != MONITOR_VERSION) {
		service_misbehaved(&m->services[PROCESS_ADMIN], "speaks another version");
		return;
	}
	m->hello_serial = request->serial;
	m->hello_waits = true;
	if (m->table_known)
		admin_tell_table(m);
}
