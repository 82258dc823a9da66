/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_LOCAL_LOCAL_H
#define HYPERVISOR_LOCAL_LOCAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/hypervisor.h"
#include "process/proc.h"
#include "process/record.h"
#include "process/starter.h"

/*
 * The local ground: a qube is a set of namespaces made by bubblewrap. What it isolates and what it does
 * not: doc/local-ground.md.
 *
 *   STARTING --init is known--> MADE --first unpause--> RUNNING --shutdown--> HALTING
 *   any of them --init has ended--> gone; paused is beside these
 */

enum local_state { LOCAL_STARTING, LOCAL_MADE, LOCAL_RUNNING, LOCAL_HALTING };

/* The connection of a qube to its netvm: one pasta process; network.c. */
struct local_net {
	struct proc pasta;
	uint32_t netvm; /* domid; 0: none, or the outside itself */
	bool wanted;    /* it is to be connected */
	struct ask ask; /* serial 0: nobody waits */
	struct loop_timer timer;
	unsigned int looks; /* for the interface, so far */
	unsigned int pause_ms;
};

/* Until the first process of the qube is known; start.c. */
struct local_start {
	struct ask ask;
	int sock;   /* to init; -1: done */
	int err_fd; /* what bubblewrap said; -1: done */
	struct loop_fd source;
	struct loop_timer limit;
};

struct local_qube {
	struct local *local;
	uint32_t domid;
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	uint32_t owner;
	uint32_t ip;
	uint32_t flags;
	uint32_t vcpus;
	uint64_t memory;     /* KiB */
	uint64_t memory_max; /* KiB */
	enum local_state state;
	bool paused;
	bool killed;         /* DESTROY was asked, or the start is given up */
	struct proc init;    /* first process of the qube; its end is the qube's */
	struct proc wrapper; /* bubblewrap, which waits for it */
	struct ask destroy;  /* serial 0: nobody waits */
	struct local_start start;
	struct local_net net;
	uint64_t pid_space; /* of the qube's processes; local_pid_space() */
	struct monitor_stat usage;
	int cgroup; /* folder; -1: none */
};

struct local {
	struct toolstack *toolstack;
	struct loop *loop;
	int records; /* folder */
	int cgroups; /* folder below which each qube gets its own; -1: there are none to be had */
	char groups[PATH_MAX]; /* its path; "" */
	int filter;            /* the system call filter of qubes; the maker has it */
	struct starter maker;
	bool root; /* real root: each qube has its own outer user */
	char bwrap[PATH_MAX];
	char pasta[PATH_MAX]; /* "": not installed */
	char guest[PATH_MAX]; /* tree of what Skerry puts into qubes */
	char stage[PATH_MAX]; /* where a root is put together, in a mount namespace of its own */
	struct local_qube *by_domid[MONITOR_DOMID_MAX + 1];
	unsigned int n_qubes;
};

#define LOCAL_QUBES_MAX 512U /* chosen */

/** local_gone() - nothing of the qube runs any more: tells everybody who waits, and frees it */
void local_gone(struct local_qube *q, int wait_status);

/** local_failed() - answers an ask, if there is one, once */
void local_failed(struct local_qube *q, struct ask *ask, enum monitor_error error,
                  const char *text);

/** local_save() - the qube's record; 0 or -1 with errno */
int local_save(struct local_qube *q) MUST_CHECK;

/* What a child exits with that finds a volume missing: MONITOR_E_VOLUME. */
#define LOCAL_EXIT_VOLUME 65

/* start.c */
void local_start(struct local_qube *q, struct ask ask, const struct monitor_create *create);
/** local_start_over() - what was open for the start is closed */
void local_start_over(struct local_qube *q);

/* sandbox.c: in the child; never returns. Says on descriptor 2 what fails. */
NORETURN void local_sandbox_exec(const struct local *local, const struct local_qube *q,
                                 const struct monitor_create *create, int sock);

/* root.c: the qube's root at local->stage "/root", in a mount namespace of the caller's own. */
int local_root_make(const struct local *local, const struct local_qube *q,
                    const struct monitor_create *create) MUST_CHECK;

/* guest.c: the tree of what Skerry puts into qubes, at local->guest; 0, or -1 after a log line */
int local_guest_make(struct local *local) MUST_CHECK;

/* filter.c: a memfd with the program of system calls that qubes may not make; -1 after a log line */
int local_filter_make(void) MUST_CHECK;
/** local_filter_maker() - for this process and all it starts: the part of it that whoever makes qubes can
 *  do without, too; 0, or -1 after a log line */
int local_filter_maker(void) MUST_CHECK;

/* freeze.c: 0 or -1 with errno */
int local_freeze(struct local_qube *q) MUST_CHECK;
int local_thaw(struct local_qube *q) MUST_CHECK;

/* processes.c */
/** local_pid_space() - the identity of a process's PID namespace; 0: it has ended, or is not ours */
uint64_t local_pid_space(pid_t pid);
/** local_each_process() - calls fn with the qube of every process that belongs to one
 *  @only: NULL for all qubes; 0, or -1 with errno */
int local_each_process(struct local *local, struct local_qube *only,
                       void (*fn)(void *arg, struct local_qube *q, pid_t pid), void *arg)
        MUST_CHECK;
/** local_usage() - what each qube's processes use now, into its .usage */
void local_usage(struct local *local);

/* cgroup.c */
void local_cgroups_open(struct local *local); /* none to be had: -1, said in the log */
void local_cgroup_make(struct local_qube *q);
void local_cgroup_adopt(struct local_qube *q);
void local_cgroup_remove(struct local_qube *q);
/** local_cgroup_set() - a file of the qube's folder; 0 or -1 with errno (ENOENT: it has none) */
int local_cgroup_set(const struct local_qube *q, const char *file, const char *text) MUST_CHECK;
/** local_cgroup_read() - the start of such a file, NUL-terminated; bytes or -1 with errno */
ssize_t local_cgroup_read(const struct local_qube *q, const char *file, char *text, size_t max)
        MUST_CHECK;

/* maker.c: the process that makes qubes and their networks for a toolstack that may not; 0, or -1 after a
 * log line */
int local_maker_open(struct local *local) MUST_CHECK;
/** local_maker_qube() - bubblewrap with a qube: a child of ours, or -1 with errno. Borrows both
 *  descriptors: to the first process, and for what is said until then */
pid_t local_maker_qube(const struct local_qube *q, const struct monitor_create *create, int sock,
                       int err) MUST_CHECK;
/** local_maker_network() - pasta between a qube and its netvm (NULL: dom0's network), once a byte comes
 *  from go, which is borrowed; a child of ours, or -1 with errno */
pid_t local_maker_network(const struct local_qube *q, const struct local_qube *netvm, int go)
        MUST_CHECK;

/** local_maker_end() - the ground ends and no qube runs: the folder of the control groups goes */
void local_maker_end(const struct local *local);

/* rights.c: 0, or -1 after a log line */
int local_confine(struct local *local) MUST_CHECK;

/* network.c */
/** local_net_exec() - in the maker's child: waits for the byte and becomes pasta */
NORETURN void local_net_exec(const struct local_qube *q, const struct local_qube *netvm, int go);
/** local_net_connect() - as q->net and q->ip say; answers ask (serial 0: nobody) */
void local_net_connect(struct local_qube *q, struct ask ask);
void local_net_drop(struct local_qube *q);
/** local_net_gone() - of a netvm that has ended: who was connected to it is cut off */
void local_net_gone(struct local *local, uint32_t netvm);
void local_net_adopt(struct local *local);

#endif
