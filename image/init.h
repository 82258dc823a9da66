/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAGE_INIT_H
#define IMAGE_INIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * The first process of dom0 and of small qubes: mounts, loads the listed kernel modules, starts a
 * fixed list of children one after the other, starts again what ends, reaps, and ends the machine in
 * order. No shell, no configuration but the files of the image itself, nothing from outside.
 */

#define INIT_CHILDREN_MAX 32U
#define INIT_ARGS_MAX     24U
#define INIT_FILE_MAX     8192U  /* bytes of the list of children */
#define INIT_FILES_MAX    524288 /* descriptors that a child may have; systemd's number */
#define INIT_READY_MS     60000  /* until a child must be ready; chosen */
#define INIT_STOP_MS                                                                               \
	60000 /* until a child that was asked to end is killed: qubes get half a minute */
#define INIT_BACKOFF_MIN_MS 100 /* before a child is started again; doubles each time */
#define INIT_BACKOFF_MAX_MS 10000
#define INIT_STABLE_MS      60000 /* one that ran this long begins with the short pause again */
#define INIT_READY_FD       3     /* of a child that says by a byte that it is ready */

enum child_kind {
	CHILD_SERVICE, /* starts again when it ends */
	CHILD_VITAL,   /* nothing goes on without it: when it ends, the machine does */
	CHILD_ONCE,    /* runs to its end, with status 0, before the next child begins */
	CHILD_SESSION, /* when it ends, the machine is switched off; has the console */
};

enum child_ready {
	READY_AT_ONCE,
	READY_BYTE,   /* writes one byte on INIT_READY_FD */
	READY_SOCKET, /* can be connected to at a path */
	READY_EXIT,
};

enum child_state { CHILD_IDLE, CHILD_STARTING, CHILD_RUNNING, CHILD_PAUSING, CHILD_OVER };

struct child {
	const char *name; /* borrowed from the text of the list, as the other strings */
	enum child_kind kind;
	enum child_ready ready;
	const char *ready_path;
	char *args[INIT_ARGS_MAX + 1];
	enum child_state state;
	pid_t pid; /* 0: none */
	uint64_t began_ns;
	uint64_t pause_ms;
	struct loop_fd ready_source; /* READY_BYTE: our end of the pipe, owned */
	struct loop_timer look;      /* READY_SOCKET: when to try again */
	struct loop_timer timer;     /* the deadline, the pause, or the end of patience */
	struct init *init;
};

struct init {
	struct loop *loop;
	struct child children[INIT_CHILDREN_MAX];
	size_t n_children;
	size_t next; /* the first that was not started yet */
	bool ready;  /* the last one was ready */
	bool stopping;
	int how; /* argument of reboot(2) once all have ended */
	char text[INIT_FILE_MAX];
};

/**
 * children_parse() - the list of children, a line each:
 *
 *   NAME  service|vital|once|session  now|byte|exit|socket=PATH  PROGRAM ARGUMENT…
 *
 * @text:  borrowed for ever and cut into words; NUL-terminated
 * Errors: 0, or -1 after a log line that names the line.
 */
int children_parse(struct init *init, char *text) MUST_CHECK;

/** children_start() - begin with the list; each child starts when the one before it is ready */
void children_start(struct init *init);

/** children_reaped() - a process ended that may have been one of them */
void children_reaped(struct init *init, pid_t pid, int wait_status);

/** children_stop() - end all, the last first; init_finish() is called after that. @how: RB_… */
void children_stop(struct init *init, int how);

/** init_finish() - nothing of ours runs any more: end the machine */
void init_finish(struct init *init);

/** ground_prepare() - mounts, modules and kernel settings; what fails is logged */
void ground_prepare(void);

/** ground_load_modules() - those that the image lists; what fails is logged */
void ground_load_modules(void);

/** ground_release() - everything to the disks, then unmount; before the machine ends */
void ground_release(void);

#endif
