/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_SERVICE_H
#define SERVICES_STORAGE_SERVICE_H

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "services/storage/job.h"

/*
 * The storage service: takes requests, keeps the order of those that concern one volume, has workers do
 * them, and passes on what they answer. It opens no volume itself.
 */

#define STORAGE_POOLS_MAX 64   /* chosen */
#define STORAGE_QUEUE_MAX 2048 /* requests that wait or run; chosen */
#define STORAGE_WORKERS_MAX                                                                        \
	8 /* at once, without those that only look and those that clear away; chosen */

/** service_run() - until the admin service's end of @admin_fd closes and the last worker has ended;
 *  exit status. @run_dir: folder of the markers of running volumes, or -1 */
int service_run(struct loop *loop, int admin_fd, int run_dir, const char *boot_id);

/* What the queue (service.c) and the workers (workers.c) share. */
struct entry {
	struct entry *next;
	struct job job;
	bool internal; /* nobody waits for an answer */
	bool cancelled;
	bool answered;
	pid_t pid; /* 0: waits */
	int fd;    /* channel from the worker; -1 */
	struct loop_fd source;
	struct loop_child child;
};

/** worker_start() - forks a worker for the entry; 0 or -1 with errno */
int worker_start(struct loop *loop, struct entry *e) MUST_CHECK;

/** workers_use_devices() - qubes are given devices: starts the process that makes them; 0, or -1 after a
 *  log line */
int workers_use_devices(struct loop *loop) MUST_CHECK;
/** worker_devices() - such a worker's own socket (given; 0: none); without that process this one ends */
void worker_devices(int *ret_fd);
void worker_devices_close(int *fd);

/** worker_say() - how a worker's job speaks: on the channel that is its arg */
void worker_say(struct job *job, const struct storage_answer *answer);

/* Workers that stay (lookers.c). */

/** looker_takes() - whether such a request is done by the pool's own worker; looker_free() - and now */
bool looker_takes(const struct entry *e);
bool looker_free(const struct entry *e);

/** looker_start() - gives it the entry; 0, or -1: then let another worker do it */
int looker_start(struct loop *loop, struct entry *e) MUST_CHECK;

/** looker_end() - the pool's worker ends, after what it does */
void looker_end(const char *pool);

/* Called by workers.c and lookers.c: an answer that is legal, and the end of a worker. */
void service_answer(struct entry *e, const struct storage_answer *answer);
void service_ended(struct entry *e, int wait_status);

/* Markers of running volumes (markers.c). */
struct markers;
struct markers *markers_new(int run_dir, const char *boot_id) MUST_CHECK;
struct markers *markers_free(struct markers *m);

/** markers_running() - whether a START is there without its STOP */
bool markers_running(const struct markers *m, const char *pool, const char *vid);

/** markers_this_boot() - whether a marker says that the start was in this run of the machine */
bool markers_this_boot(const struct markers *m, const char *pool, const char *vid);

/** markers_add(), markers_drop() - one user more or less; a kernel's volume has several */
void markers_add(struct markers *m, const char *pool, const char *vid);
void markers_drop(struct markers *m, const char *pool, const char *vid);

#endif
