/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_ORDERS_H
#define HYPERVISOR_XEN_ORDERS_H

#include "hypervisor/xen/ground.h"

/*
 * What the toolstack has done by processes with more rights than it keeps (process/starter.h): each order goes to a child of
 * its own, which checks it as what it is, a message of a process with fewer rights.
 */

/** xen_orders_open() - before anything else is opened; 0, or -1 after a log line */
int xen_orders_open(void) MUST_CHECK;
/** xen_orders_watch() - without its starter the toolstack ends; 0 or -1 with errno */
int xen_orders_watch(void) MUST_CHECK;
void xen_orders_close(void);

/** xen_order_qube() - a process that makes a domain, and says on @out (borrowed) what went wrong; its pid, or -1 with errno */
pid_t xen_order_qube(const struct xen_qube *q, const struct monitor_create *create, int out)
        MUST_CHECK;
/** xen_order_console() - a reader of a qube's console; its pid, or -1 with errno */
pid_t xen_order_console(const struct xen_qube *q) MUST_CHECK;

/** xen_make() - in the new process: create.c. @out: given */
NORETURN void xen_make(struct xen_qube *q, const struct monitor_create *create, int out);
/** xen_read_console() - in the new process: qube_console.c */
NORETURN void xen_read_console(const struct xen_qube *q);

#endif
