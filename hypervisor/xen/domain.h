/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_DOMAIN_H
#define HYPERVISOR_XEN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Domains of Xen: building, devices, life and death, over libxenctrl and libxenguest. No libxl, no
 * hotplug scripts. State is what the hypervisor and xenstore hold, so whoever opens a ground anew finds all domains again.
 *
 * Trust: what a qube may write in xenstore is read by nobody here, but for the text of
 * control/shutdown becoming empty. Kernel and initrd of a qube are trusted by that qube alone: a process of their own
 * unpacks them, which can reach that one domain and nothing else (proto/xen_build.h).
 *
 * Test: tests/xen
 */

#define XEN_DOMAIN_NAME_MAX     32U
#define XEN_DOMAIN_VCPUS_MAX    64U
#define XEN_DOMAINS_MAX         512U         /* looked at in one go; chosen */
#define XEN_DOMAIN_KERNEL_MAX   (256U << 20) /* bytes, unpacked */
#define XEN_DOMAIN_INITRD_MAX   (1024U << 20)
#define XEN_DOMAIN_GRANT_FRAMES 64U /* 512 grants each */

struct xen_ground;

enum xen_domain_kind { XEN_DOMAIN_PV, XEN_DOMAIN_PVH };

struct xen_domain_spec {
	uint32_t domid; /* 0: the hypervisor chooses */
	enum xen_domain_kind kind;
	uint8_t uuid[16];
	const char *name;   /* borrowed, as the others; "[A-Za-z0-9_.-]{1,31}" */
	const char *kernel; /* path */
	const char *initrd; /* path, or NULL */
	const char *cmdline;
	uint64_t memory_kib; /* at the start; whole MiB */
	uint64_t max_kib;    /* at least memory_kib */
	uint32_t vcpus;      /* 1 … XEN_DOMAIN_VCPUS_MAX */
	uint32_t
	        owner; /* number of the qube: who unpacks its kernel runs as MONITOR_OWNER_UID_BASE + owner */
};

enum xen_domain_state {
	XEN_DOMAIN_RUNNING,
	XEN_DOMAIN_PAUSED,
	XEN_DOMAIN_STOPPED,
	XEN_DOMAIN_DYING
};
enum xen_domain_cause {
	XEN_CAUSE_OFF,
	XEN_CAUSE_REBOOT,
	XEN_CAUSE_SUSPEND,
	XEN_CAUSE_CRASH,
	XEN_CAUSE_OTHER
};

struct xen_domain_info {
	int domid;
	uint8_t uuid[16];
	enum xen_domain_state state;
	enum xen_domain_cause cause; /* of XEN_DOMAIN_STOPPED */
	uint64_t memory_kib;
	uint64_t cpu_ns;
	uint32_t vcpus;
};

struct xen_disk {
	uint32_t number;       /* 0 is xvda, … 25 xvdz */
	const char *path;      /* of a block device in the backend's domain */
	uint32_t major, minor; /* of it, if the backend is dom0 */
	int backend;           /* domid */
	bool writable;
};

struct xen_net {
	uint32_t number;
	const char *mac; /* "xx:xx:xx:xx:xx:xx" */
	const char *ip;
	int backend;
};

/** xen_ground_open() - handles of hypervisor and xenstore; 0, or -1 after a log line */
int xen_ground_open(struct xen_ground **ret_ground) MUST_CHECK;
struct xen_ground *xen_ground_close(struct xen_ground *ground);

/** xen_ground_keep_kernels() - from now on kernels are unpacked once, into this folder (borrowed for ever, made if its
 *  parent is there), whose files are dom0's alone */
void xen_ground_keep_kernels(struct xen_ground *ground, const char *folder);

/** xen_ground_guard() - from now on @guard is called in the making of a domain, once everything was opened and before the
 *  process that reads the kernel is listened to: to give up rights. @kernels: the folder of unpacked ones, or NULL */
void xen_ground_guard(struct xen_ground *ground, int (*guard)(const char *kernels));

/** xen_ground_fd() - readable when a domain may have come, stopped or gone */
int xen_ground_fd(const struct xen_ground *ground);

/** xen_ground_step() - take the events; whether a look at the domains is worth while: 1, 0, -1 */
int xen_ground_step(struct xen_ground *ground) MUST_CHECK;

/**
 * xen_domain_create() - build a domain, paused, with its part of xenstore
 * Errors: 0, or -1 after a log line that says which step, as xen_ground_why() does; nothing is left of it then.
 */
int xen_domain_create(struct xen_ground *ground, const struct xen_domain_spec *spec, int *ret_domid)
        MUST_CHECK;

/** xen_ground_why() - the step of the last failure, and why, for users: borrowed until the next one */
const char *xen_ground_why(const struct xen_ground *ground);
/** xen_ground_machine() - what the machine has: free memory in KiB, and whether PVH runs; 0, or -1 with errno */
int xen_ground_machine(struct xen_ground *ground, uint64_t *ret_free_kib, bool *ret_pvh) MUST_CHECK;

/** xen_domain_list() - all but dom0; how many, or -1 with errno */
int xen_domain_list(struct xen_ground *ground, struct xen_domain_info *ret_infos, size_t max)
        MUST_CHECK;
/** xen_domain_info() - 0, or -1 with errno ESRCH */
int xen_domain_info(struct xen_ground *ground, int domid, struct xen_domain_info *ret_info)
        MUST_CHECK;
/** xen_domain_name() - as it was given; 0, or -1 with errno */
int xen_domain_name(struct xen_ground *ground, int domid, char name[XEN_DOMAIN_NAME_MAX])
        MUST_CHECK;

int xen_domain_pause(struct xen_ground *ground, int domid) MUST_CHECK;
int xen_domain_unpause(struct xen_ground *ground, int domid) MUST_CHECK;
/** xen_domain_ask() - "poweroff", "reboot" or "suspend", to which the qube may listen or not */
int xen_domain_ask(struct xen_ground *ground, int domid, const char *what) MUST_CHECK;
/** xen_domain_destroy() - end it and remove its part of xenstore; its pages go as soon as nobody
 *  maps them any more. A domain that is gone already is no error. */
int xen_domain_destroy(struct xen_ground *ground, int domid) MUST_CHECK;
/** xen_domain_set_memory() - the balloon's target */
int xen_domain_set_memory(struct xen_ground *ground, int domid, uint64_t kib) MUST_CHECK;

/** xen_domain_add_disk(), xen_domain_add_net() - both ends' nodes; the backends do the rest */
int xen_domain_add_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk)
        MUST_CHECK;
/** xen_domain_put_disk() - the same for a disk that was looked at before the guard */
int xen_domain_put_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk)
        MUST_CHECK;
int xen_domain_add_net(struct xen_ground *ground, int domid, const struct xen_net *net) MUST_CHECK;

/** xen_domain_drop_net() - both ends' nodes; the kernels do the rest */
int xen_domain_drop_net(struct xen_ground *ground, int domid, int backend, uint32_t number)
        MUST_CHECK;

/**
 * xen_domain_drop_disks() - dom0's ends of all disks of a domain
 * xen_domain_has_disks() - whether the kernel still holds one of them: its device is in use until then
 */
int xen_domain_drop_disks(struct xen_ground *ground, int domid) MUST_CHECK;
bool xen_domain_has_disks(int domid);

/**
 * What a toolstack writes down of its domains, in a part of xenstore that no qube reads: one value a name.
 * xen_note_each() calls fn for each domain of which something was written.
 * Errors: 0, or -1 with errno (ENOENT).
 */
int xen_note_write(struct xen_ground *ground, int domid, const char *name, const char *value)
        MUST_CHECK;
int xen_note_read(struct xen_ground *ground, int domid, const char *name, char *value, size_t max)
        MUST_CHECK;
int xen_note_drop(struct xen_ground *ground, int domid) MUST_CHECK;
int xen_note_each(struct xen_ground *ground, void (*fn)(void *arg, int domid), void *arg)
        MUST_CHECK;

/** xen_console_start() - a confined process that writes what the qube says to @log (borrowed); its
 *  pid, or -1 with errno. The domain must not have run yet, for a full console stops its kernel. */
pid_t xen_console_start(struct xen_ground *ground, int domid, const char *program, int log)
        MUST_CHECK;
/** xen_console_run() - becomes that process, as MONITOR_OWNER_UID_BASE + owner if it is root; returns on failure, with errno */
void xen_console_run(struct xen_ground *ground, int domid, uint32_t owner, const char *program,
                     int log);

#endif
