/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making a qube takes seconds: its kernel is unpacked and its memory filled. That is done by a process of
 * its own for each, the maker, so that nobody else waits. It has its own handles, reads no byte of the kernel (proto/xen_build.h), and
 * dies with the toolstack; what it leaves is found by its notes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/xen/orders.h"
#include "hypervisor/xen/rights.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

/* The process that makes it. */

static int add_devices(struct xen_qube *q, const struct xen_request *r, uint32_t netvm)
{
	/* They were looked at with the request; now nothing can be looked at any more. */
	for (size_t i = 0; i < r->n_disks; i++)
		if (xen_domain_put_disk(xen.ground, (int)q->domid, &r->disks[i]))
			return -1;
	return xen_net_connect(q, netvm) || xen_note_number(q, NOTE_OWNER, q->owner) ||
	                       xen_note_write(xen.ground, (int)q->domid, NOTE_MADE, "")
	               ? -1
	               : 0;
}

/* Notes first: whatever happens in between, the next toolstack finds what was begun. */
static int make(struct xen_qube *q, const struct monitor_create *c, struct xen_fault *fault)
{
	static struct xen_request r; /* too large for a stack */
	int domid;

	if (xen_request_read(&r, c, q->domid, fault))
		return -1;
	r.spec.owner = q->owner;
	if (xen_note_write(xen.ground, (int)q->domid, NOTE_BEGUN, "") ||
	    xen_domain_create(xen.ground, &r.spec, &domid))
		return xen_fault_set(fault, MONITOR_E_GROUND, "%s (kernel %s): %s", c->name,
		                     c->kernel, xen_ground_why(xen.ground));
	if (add_devices(q, &r, c->netvm) == 0)
		return 0;
	return xen_fault_set(fault, MONITOR_E_GROUND, "%s: its devices: %s", c->name,
	                     strerror(errno));
}

void xen_make(struct xen_qube *q, const struct monitor_create *create, int out)
{
	struct xen_fault fault = {.error = MONITOR_E_GROUND,
	                          .text = "the hypervisor or xenstore cannot be reached"};
	bool made = false;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (xen_ground_open(&xen.ground) == 0) {
		xen_ground_keep_kernels(xen.ground, XEN_KERNELS);
		xen_ground_guard(xen.ground, xen_maker_confine);
		made = make(q, create, &fault) == 0;
	}
	if (!made && fd_write_all(out, &fault, sizeof(fault)))
		LOG_ERRNO("%s: why it is not made", q->name);
	_exit(made ? 0 : 1);
}

/* The toolstack. */

/* What a maker left behind that failed or was killed; not a domain of that number that somebody else made. */
static void undo(const struct xen_qube *q)
{
	struct xen_domain_info info;

	if (xen_domain_info(xen.ground, (int)q->domid, &info) == 0 &&
	    memcmp(info.uuid, q->uuid, sizeof(info.uuid)) == 0 &&
	    (xen_domain_drop_disks(xen.ground, (int)q->domid) ||
	     xen_domain_destroy(xen.ground, (int)q->domid)))
		LOG_ERRNO("%s: what was begun is still there", q->name);
	if (xen_note_drop(xen.ground, (int)q->domid))
		LOG_ERRNO("%s: its notes in xenstore", q->name);
}

static void failed(struct xen_qube *q, int wait_status)
{
	struct ask create = q->create, destroy = q->destroy;
	struct xen_fault fault = {.error = MONITOR_E_GROUND};

	/* A whole one or none: it is shorter than what a pipe takes at once. */
	if (read(q->maker_fd, &fault, sizeof(fault)) != (ssize_t)sizeof(fault))
		(void)xen_fault_set(&fault, MONITOR_E_GROUND,
		                    "%s: the process that makes it ended (%d)", q->name,
		                    wait_status);
	undo(q);
	q->maker_fd = fd_close(q->maker_fd);
	toolstack_failed(xen.toolstack, create, fault.error, "%s", fault.text);
	if (destroy.serial)
		toolstack_tell_stopped(xen.toolstack, q->domid, q->uuid, MONITOR_DESTROYED);
	xen_qube_free(q);
	if (destroy.serial)
		toolstack_done(xen.toolstack, destroy);
}

static void on_made(void *arg, int wait_status)
{
	struct xen_qube *q = arg;

	if (wait_status || q->killed) {
		failed(q, wait_status);
		return;
	}
	q->maker_fd = fd_close(q->maker_fd);
	q->built = true;
	xen_console_watch(q);
	toolstack_created(xen.toolstack, q->create);
}

void xen_create(struct xen_qube *q, struct ask ask, const struct monitor_create *create)
{
	int pair[2];
	pid_t pid;

	q->create = ask;
	q->netvm = create->netvm;
	if (pipe2(pair, O_CLOEXEC)) {
		toolstack_failed(xen.toolstack, ask, MONITOR_E_GROUND, "%s: %s", q->name,
		                 strerror(errno));
		xen_qube_free(q);
		return;
	}
	q->maker_fd = pair[0];
	pid = xen_order_qube(q, create, pair[1]);
	(void)fd_close(pair[1]);
	if (pid < 0 || proc_watch(xen.loop, &q->maker, pid, on_made, q)) {
		toolstack_failed(xen.toolstack, ask, MONITOR_E_GROUND, "%s: %s", q->name,
		                 strerror(errno));
		if (pid > 0) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
		}
		undo(q);
		q->maker_fd = fd_close(q->maker_fd);
		xen_qube_free(q);
	}
}
