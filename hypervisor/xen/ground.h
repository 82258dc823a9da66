/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_GROUND_H
#define HYPERVISOR_XEN_GROUND_H

#include "hypervisor/hypervisor.h"
#include "hypervisor/xen/domain.h"
#include "process/proc.h"

/*
 * The ground xen: a qube is a domain. What must outlive this process is in the hypervisor, and in
 * xenstore where no qube reads it (xen_note_write()): names below.
 *
 *   create --> MADE --first unpause--> runs; paused beside it; halting once it was asked to end
 *   it stopped, or DESTROY --> ending: disks, then the domain; STOPPED is said once no device of it is held
 */

#define NOTE_BEGUN   "begun"   /* before anything else is made: its uuid in no form that is read */
#define NOTE_MADE    "made"    /* all of it is there; without this note it is cleared away */
#define NOTE_HALTING "halting" /* it was asked to end */
#define NOTE_OWNER   "owner"   /* number of the qube (qid) */
#define NOTE_NETVM   "netvm"   /* domid of the other end of its network device */
#define NOTE_VIF     "vif"     /* number of that device */
#define NOTE_CONSOLE "console" /* PID START of the reader of its console */

struct xen_qube {
	uint32_t domid;
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	uint32_t owner; /* number of the qube (qid) */
	uint32_t ip;
	uint64_t mac;
	uint32_t netvm; /* domid; 0: none */
	uint32_t vif;   /* number of its network device, or of the next */
	bool built;     /* else it is being made */
	struct proc maker;
	int maker_fd; /* says what went wrong; -1: none */
	struct ask create;
	bool halting;
	bool ending;
	bool killed; /* DESTROY was asked */
	enum monitor_cause cause;
	struct proc console;
	struct loop_timer console_again;
	struct ask destroy; /* serial 0: nobody waits */
	struct loop_timer end_look;
	unsigned int end_looks;
};

#define XEN_KERNELS "/var/lib/skerry/kernels" /* unpacked */

struct xen {
	struct toolstack *toolstack;
	struct loop *loop;
	struct xen_ground *ground;
	struct loop_fd store_source;
	struct xen_qube *by_domid[MONITOR_DOMID_MAX + 1];
	struct loop_timer look;
};

extern struct xen xen;

/** xen_qube_new() - empty but for its number; NULL: no memory, or there is one */
struct xen_qube *xen_qube_new(uint32_t domid) MUST_CHECK;
void xen_qube_free(struct xen_qube *q);

/** xen_create() - in a process of its own; ends with toolstack_created() or toolstack_failed() */
void xen_create(struct xen_qube *q, struct ask ask, const struct monitor_create *create);
/** xen_net_connect() - the network device that there is goes; another comes if @netvm is not 0;
 *  0, or -1 with errno */
int xen_net_connect(struct xen_qube *q, uint32_t netvm) MUST_CHECK;
int xen_note_number(const struct xen_qube *q, const char *name, uint32_t number) MUST_CHECK;

/** xen_look() - whether domains have stopped or gone; ends what has */
void xen_look(void);
/** xen_qube_end() - everything of it; ends with STOPPED */
void xen_qube_end(struct xen_qube *q, enum monitor_cause cause);

/** xen_console_watch() - a reader of its console, started again when it ends; what fails is logged */
void xen_console_watch(struct xen_qube *q);
/** xen_console_adopt() - the reader that a former toolstack has started, or another */
void xen_console_adopt(struct xen_qube *q);
void xen_console_end(struct xen_qube *q);

/* What can be wrong with a request: for toolstack_failed(). */
struct xen_fault {
	enum monitor_error error;
	char text[MONITOR_TEXT_LEN];
};
/** xen_fault_set() - returns -1 */
int xen_fault_set(struct xen_fault *fault, enum monitor_error error, const char *fmt, ...)
        PRINTF_LIKE(3, 4);

/* Where a create message leads (request.c): everything of it is checked before a domain is made. */
struct xen_request {
	struct xen_domain_spec spec;
	char cmdline[MONITOR_CMDLINE_LEN + 1024];
	struct xen_disk disks[MONITOR_VOLUMES_MAX];
	size_t n_disks;
};
/** xen_request_read() - 0, or -1 with the fault; the message is borrowed */
int xen_request_read(struct xen_request *r, const struct monitor_create *create, uint32_t domid,
                     struct xen_fault *fault) MUST_CHECK;

#endif
