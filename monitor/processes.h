/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MONITOR_PROCESSES_H
#define MONITOR_PROCESSES_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "process/proc.h"
#include "process/record.h"
#include "process/starter.h"

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
	PROCESS_BACKUP,
	PROCESS_MAX
};

/* In a request: no process, but what the system left in its folders goes. */
#define PROCESS_CLEAR UINT32_MAX

enum process_flag {
	PER_SYSTEM = 1 << 0,
	PER_QUBE = 1 << 1,
	PER_CALL = 1 << 2,
	HAS_LINK = 1 << 3,
	HAS_READY = 1 << 4,
	OUTLIVES = 1 << 5, /* the monitor: the next one adopts it */
	BECOMES = 1 << 7,  /* its user by itself, once it has made what only root may make */
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
	const char *option; /* how the first word after them begins; NULL: it is none */
	enum process_id peers[PROCESS_PEERS_MAX];
};

extern const struct process_rule process_rules[PROCESS_MAX];

/* Where descriptors stand in the new process. */
#define PROCESS_FD_LINK  3
#define PROCESS_FD_READY 4
#define PROCESS_FD_PEERS 5
#define PROCESS_FDS_MAX  (PROCESS_FD_PEERS + PROCESS_PEERS_MAX)

/* One start. Everything is borrowed. */
struct process_start {
	enum process_id id;
	const char *const *args;      /* after the table's; NULL-terminated; NULL: none */
	const char *const *env;       /* NAME=value, beside the monitor's own; NULL-terminated */
	int fds[PROCESS_FDS_MAX - 3]; /* for 3, 4 …; -1: that number stays closed */
	int stdin_fd;                 /* -1: /dev/null */
	const char *log;              /* file in /var/log/qubes; NULL: no output is kept */
	struct record record;         /* kind, domid, uuid, name; kind 0: none is written */
};

/* The same on its way to the starter (process/starter.h): the words of args and of env, each with its
 * NUL. Descriptors of the message: where the word to go on comes, then one for each bit of has. */
#define PROCESS_WORDS_MAX 8U
#define PROCESS_TEXT_MAX  (2U * 4096U)

struct process_request {
	uint32_t id;
	uint32_t has;
	uint32_t n_args;
	uint32_t n_env;
	char text[PROCESS_TEXT_MAX];
};

/** processes_open() - the starter; before anything is opened, and before the monitor confines itself
 *  @ground:  names the toolstack; borrowed for ever. 0, or -1 after a log line */
int processes_open(const char *ground) MUST_CHECK;

/** processes_watch() - fn is called when the starter has ended, without which nothing can be started */
int processes_watch(struct loop *loop, void (*fn)(void *arg, uint32_t events), void *arg)
        MUST_CHECK;
void processes_close(struct loop *loop);
/** processes_clear() - after an orderly end nothing of the system is left in its folders for running */
void processes_clear(void);

/** process_find() - the program of a row; 0 or -1 with errno */
int process_find(enum process_id id, const char *ground, char path[PATH_MAX]) MUST_CHECK;

/** process_child() - what the starter's children do: child.c */
void process_child(void *arg, const void *untrusted_request, size_t len, const int *fds,
                   size_t n_fds);

/**
 * process_start() - runs it once its record is written
 * Errors: 0, or -1 with errno after a log line (ENOENT: the program is not installed).
 */
int process_start(struct loop *loop, int records, struct process_start *start, struct proc *proc,
                  void (*fn)(void *arg, int wait_status), void *arg) MUST_CHECK;

#endif
