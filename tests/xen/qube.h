/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_QUBE_H
#define TESTS_XEN_QUBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hypervisor/xen/domain.h"

/* Qubes of a test that runs in dom0, by the toolstack's library. */

extern struct xen_ground *ground;

struct qube_want {
	const char *name;
	enum xen_domain_kind kind;
	const char *initrd; /* NULL: none */
	const char *cmdline;
	uint32_t kib;
	uint32_t max_kib; /* 0: kib */
	const char *disk; /* its first: a block device of dom0; NULL: none */
	const char *log;  /* path of what its console said; NULL: the machine's console */
};

struct qube {
	char name[XEN_DOMAIN_NAME_MAX];
	int domid;
	pid_t console; /* 0: none */
	double began, built;
};

#define QUBE_KIB (96U << 10)

/** qube_set_up() - which kernel and which reader of consoles all qubes have; opens the ground */
bool qube_set_up(const char *kernel, const char *console);
double qube_now(void);
/** qube_start() - built, its console read, running */
bool qube_start(struct qube *q, const struct qube_want *want);
/** qube_wait_stopped() - how it ended by itself, or -1 */
int qube_wait_stopped(int domid, int seconds);
/** qube_destroy() - whether nothing is left of it, once those who map its pages let go of them */
bool qube_destroy(struct qube *q);
/** qube_end_programs() - those of dom0 whose command line has a word: what the monitor does for a domain that
 *  is gone; how many there were */
int qube_end_programs(const char *program, const char *word);

/* What must be the same before and after. */
struct qube_ground_state {
	uint64_t free_kib; /* of the hypervisor */
	uint32_t ports;    /* event channels of dom0 that are in use */
	uint32_t nodes;    /* of xenstore */
	int domains;       /* without dom0 */
};
bool qube_ground_state(struct qube_ground_state *ret_state);
/** qube_nothing_left() - waits a little for what the kernel frees later; reports what differs as a note */
bool qube_nothing_left(const struct qube_ground_state *before);

/** qube_peak_kib() - memory that a program of dom0 has had at most; 0: it does not run */
uint64_t qube_peak_kib(const char *program);

#endif
