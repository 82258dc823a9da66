/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MONITOR_PROCESSES_H
#define MONITOR_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "process/proc.h"
#include "process/record.h"

/* The table of what is started, and how: processes.def. */

enum process_id {
	PROCESS_NONE, /* so that an unused peer is none */
	PROCESS_TOOLSTACK,
	PROCESS_CHANNELS,
	PROCESS_POLICY,
	PROCESS_STORE,
	PROCESS_STORAGE,
	PROCESS_ADMIN,
	PROCESS_DATABASE,
	PROCESS_KEEPER,
	PROCESS_CALL,
	PROCESS_MAX
};

enum process_flag {
	PER_SYSTEM = 1 << 0,
	PER_QUBE = 1 << 1,
	PER_CALL = 1 << 2,
	HAS_LINK = 1 << 3,
	HAS_READY = 1 << 4,
	OUTLIVES = 1 << 5, /* the monitor: the next one adopts it */
	IN_GROUP = 1 << 6, /* admin and who speaks with it: end and start together */
};

#define PROCESS_ARGS_MAX  4
#define PROCESS_PEERS_MAX 2

struct process_rule {
	const char *program;
	const char *folder;
	const char *user;
	uint32_t flags;
	uint32_t files;
	const char *args[PROCESS_ARGS_MAX];
	enum process_id peers[PROCESS_PEERS_MAX];
};

extern const struct process_rule process_rules[PROCESS_MAX];

/* Where descriptors stand in the new process. */
#define PROCESS_FD_LINK  3
#define PROCESS_FD_READY 4
#define PROCESS_FD_PEERS 5
#define PROCESS_FDS_MAX  (PROCESS_FD_PEERS + PROCESS_PEERS_MAX - 3)

/* One start. Everything is borrowed. */
struct process_start {
	enum process_id id;
	const char *program;      /* instead of the table's; NULL */
	const char *const *args;  /* after the table's; NULL-terminated; NULL: none */
	const char *const *env;   /* NAME=value, beside the monitor's own; NULL-terminated */
	int fds[PROCESS_FDS_MAX]; /* for 3, 4 …; -1: that number stays closed */
	int stdin_fd;             /* -1: /dev/null */
	const char *log;          /* file in /var/log/qubes; NULL: no output is kept */
	struct record record;     /* kind, domid, uuid, name; kind 0: none is written */
};

/**
 * process_start() - runs it once its record is written
 * Errors: 0, or -1 with errno after a log line (ENOENT: the program is not installed).
 */
int process_start(struct loop *loop, int records, struct process_start *start, struct proc *proc,
                  void (*fn)(void *arg, int wait_status), void *arg) MUST_CHECK;

#endif
