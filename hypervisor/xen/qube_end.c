/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a qube: seen when xenstore says that some domain stopped or went, or asked for. Its disks go
 * first, then the domain; STOPPED is said when dom0's kernel holds none of its devices any more, because
 * then what stands in its volumes is all that the qube has written.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor/xen/ground.h"
#include "lib/base/log.h"

#define LOOK_MS   20U  /* between two looks for devices; chosen */
#define LOOKS_MAX 1500 /* half a minute; chosen: a full cache being written to a slow disk */

static void say_stopped(struct xen_qube *q)
{
	struct ask ask = q->destroy;

	if (xen_note_drop(xen.ground, (int)q->domid))
		LOG_ERRNO("%s: its notes in xenstore", q->name);
	toolstack_tell_stopped(xen.toolstack, q->domid, q->uuid,
	                       q->killed ? MONITOR_DESTROYED : q->cause);
	xen_qube_free(q);
	if (ask.serial)
		toolstack_done(xen.toolstack, ask);
}

static void on_look(void *arg)
{
	struct xen_qube *q = arg;

	if (!xen_domain_has_disks((int)q->domid)) {
		say_stopped(q);
		return;
	}
	if (q->end_looks++ == LOOKS_MAX) {
		LOG("%s: its disks are still held by the kernel; going on without", q->name);
		say_stopped(q);
		return;
	}
	if (loop_timer_set(xen.loop, &q->end_look, LOOK_MS, on_look, q))
		say_stopped(q);
}

void xen_qube_end(struct xen_qube *q, enum monitor_cause cause)
{
	q->ending = true;
	q->cause = cause;
	/* Its network's other end is in another domain, so it does not go with its own nodes. */
	if (q->netvm && xen_domain_drop_net(xen.ground, (int)q->domid, (int)q->netvm, q->vif))
		LOG_ERRNO("%s: its network device", q->name);
	if (xen_domain_drop_disks(xen.ground, (int)q->domid) ||
	    xen_domain_destroy(xen.ground, (int)q->domid)) {
		LOG_ERRNO("%s cannot be ended", q->name);
		if (q->destroy.serial)
			toolstack_failed(xen.toolstack, q->destroy, MONITOR_E_GROUND,
			                 "%s cannot be ended: %s", q->name, strerror(errno));
		q->destroy.serial = 0;
		q->ending = false;
		return;
	}
	xen_console_end(q);
	on_look(q);
}

static enum monitor_cause cause_of(const struct xen_domain_info *info)
{
	/* Off, or asked to be started again, which is for others to do. */
	return info->cause == XEN_CAUSE_OFF || info->cause == XEN_CAUSE_REBOOT ? MONITOR_OFF
	                                                                       : MONITOR_CRASH;
}

void xen_look(void)
{
	static struct xen_domain_info infos[XEN_DOMAINS_MAX];
	static bool there[MONITOR_DOMID_MAX + 1];
	int n = xen_domain_list(xen.ground, infos, ARRAY_LEN(infos));

	if (n < 0) {
		LOG_ERRNO("the hypervisor's list of domains");
		return;
	}
	for (int i = 0; i < n; i++)
		there[infos[i].domid] = infos[i].state != XEN_DOMAIN_DYING;
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct xen_qube *q = xen.by_domid[domid];

		if (q && q->built && !q->ending && !there[domid])
			xen_qube_end(q, MONITOR_DESTROYED);
	}
	for (int i = 0; i < n; i++) {
		struct xen_qube *q = xen.by_domid[infos[i].domid];

		there[infos[i].domid] = false;
		if (q && q->built && !q->ending && infos[i].state == XEN_DOMAIN_STOPPED &&
		    infos[i].cause != XEN_CAUSE_SUSPEND)
			xen_qube_end(q, cause_of(&infos[i]));
	}
}
