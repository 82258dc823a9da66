/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_HYPERVISOR_H
#define HYPERVISOR_HYPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "proto/monitor.h"

/*
 * A ground: what qubes run on. Each has one process, its toolstack, that turns the monitor's words into
 * those of the ground. hypervisor/toolstack.c speaks with the monitor; a ground is the table of
 * functions below. None of them waits: each ends with one answer, at once or later.
 *
 * Trusts: the monitor, which has checked every message. A ground reads no byte of a qube.
 */

struct toolstack;

/* Who waits for an answer. */
struct ask {
	uint32_t serial;
	uint32_t domid; /* 0: of no qube */
};

struct ground {
	const char *name; /* "local" */
	/* Before anything else, and before the process says that it is ready: finds the qubes that run
	 * and tells of each by toolstack_tell_qube(). 0, or -1 after a log line. */
	int (*open)(struct toolstack *t);
	/* The end: everything may be freed; the qubes run on. May be NULL. */
	void (*close)(struct toolstack *t);
	/* Ends with toolstack_created() or toolstack_failed(). The domid is free. */
	void (*create)(struct toolstack *t, struct ask ask, const struct monitor_create *create);
	/* For one qube: end with toolstack_done() or toolstack_failed(). */
	void (*unpause)(struct toolstack *t, struct ask ask);
	void (*pause)(struct toolstack *t, struct ask ask);
	void (*shutdown)(struct toolstack *t, struct ask ask);
	/* Done once toolstack_tell_stopped() was said. */
	void (*destroy)(struct toolstack *t, struct ask ask);
	void (*network)(struct toolstack *t, struct ask ask, const struct monitor_network *network);
	/* One toolstack_stat() for each qube, then done. */
	void (*stats)(struct toolstack *t, struct ask ask);
};

/** toolstack_run() - the whole life of a toolstack process: options, readiness, messages; its exit
 *  status: 0 when the monitor has gone */
int toolstack_run(int argc, char **argv, const char *program, const struct ground *ground)
        MUST_CHECK;

struct loop *toolstack_loop(const struct toolstack *t);

/* Answers. */
void toolstack_done(struct toolstack *t, struct ask ask);
void toolstack_created(struct toolstack *t, struct ask ask);
/** toolstack_failed() - the text is for users: what, and what helps */
void toolstack_failed(struct toolstack *t, struct ask ask, enum monitor_error error,
                      const char *fmt, ...) PRINTF_LIKE(4, 5);
void toolstack_stat(struct toolstack *t, struct ask ask, uint32_t domid,
                    const struct monitor_stat *stat);

/* Events. */
void toolstack_tell_qube(struct toolstack *t, uint32_t domid, const uint8_t uuid[MONITOR_UUID_LEN],
                         const char *name, enum monitor_state state);
void toolstack_tell_stopped(struct toolstack *t, uint32_t domid,
                            const uint8_t uuid[MONITOR_UUID_LEN], enum monitor_cause cause);

#endif
