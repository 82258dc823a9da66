/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_JOB_H
#define SERVICES_STORAGE_JOB_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/storage.h"

/*
 * One request at work, in a worker process: the pools that it may touch, the place of its volume, and
 * what it has to say. A driver works on folders by descriptor and on names below them; a path that a
 * request holds is resolved by disk_open_beneath() and by nothing else.
 */

struct pool {
	char name[STORAGE_POOL_LEN];
	char dir[STORAGE_DIR_LEN];
	uint32_t driver; /* enum storage_driver */
	bool setup_check;
};

/* Work that nobody asked for, at the lowest priority: kinds that no packet has. */
enum {
	JOB_SWEEP = 200,   /* empties the trash of a pool */
	JOB_MEASURE = 201, /* counts the bytes of a tree */
};

/* The folder that holds a volume's files, and what their names begin with. */
struct place {
	int dir; /* owned; -1: no volume, or no such folder */
	char base[NAME_MAX + 1];
};

struct job {
	struct storage_request q;
	const struct pool *pool, *source_pool; /* borrowed; source_pool may be NULL */
	int pool_fd, source_fd;                /* owned; O_PATH-like folders of the pools */
	int devices; /* to the process for devices (device.h); 0: the ground takes files */
	struct place at, from;
	bool running, source_running; /* a qube has it */
	bool same_boot;               /* STOP: the start was in this run of the machine */
	struct storage_answer out;    /* the last answer: DONE until a job_fail() */
	/* Sends a PART, PROGRESS or NOTE. */
	void (*say)(struct job *job, const struct storage_answer *answer);
	uint64_t said_ns; /* when progress was told */
	void *arg;        /* of say */
};

/* Every function of a driver: 0, or -1 after job_fail(). */
struct driver {
	int (*setup)(struct job *job);
	int (*run[STORAGE_KIND_MAX + 1])(struct job *job);
	bool images; /* data is one image file: decides who can copy from whom */
	int (*open_data)(struct job *job, const struct place *at); /* the committed data, or -1 */
};

extern const struct driver driver_image, driver_directory, driver_kernel, driver_host;

/** job_driver() - of a pool; never NULL for a legal one */
const struct driver *job_driver(const struct pool *pool);

/** job_run() - does the request; the answer is in job->out; descriptors of the job are closed */
void job_run(struct job *job);

/** job_place() - opens the folder that holds a volume; 0, or -1 with errno */
int job_place(int pool_fd, const char *vid, struct place *at) MUST_CHECK;

/** job_fail() - notes the failure; always -1. job_fail_errno() adds errno and picks the code by it. */
int job_fail(struct job *job, enum storage_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int job_fail_errno(struct job *job, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** job_note() - a sentence for the user; job_part() - one entry of a list */
void job_note(struct job *job, const char *fmt, ...) PRINTF_LIKE(2, 3);
void job_part(struct job *job, const char *name);

/** job_progress() - at most some a second are sent; @total 0 is not known */
void job_progress(struct job *job, uint64_t done, uint64_t total);

/** job_path() - the absolute path of a volume's file into the answer; job_path_of() - of another's */
int job_path(struct job *job, const char *suffix) MUST_CHECK;
int job_path_of(struct job *job, const struct pool *pool, const char *vid, const char *suffix)
        MUST_CHECK;

/*
 * Called at every point where a crash may find an operation half done. Tests set the hook and end the
 * process in it; nothing else does. Tested by tests/unit/services/storage/crash.c.
 */
extern void (*job_step_hook)(void);
#define STEP()                                                                                     \
	do {                                                                                       \
		if (job_step_hook)                                                                 \
			job_step_hook();                                                           \
	} while (0)

#endif
