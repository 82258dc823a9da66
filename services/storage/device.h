/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_DEVICE_H
#define SERVICES_STORAGE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/*
 * Image files as block devices, for a ground whose qubes take disks (Xen): loop devices, and over them
 * snapshots and encryption of the kernel's device mapper. Both are asked by ioctl; no program is run.
 *
 * Whoever may do that may reach any disk of the machine. So it is a process of its own, forked before
 * the service confines itself: it takes open files, never a name or a path, reads no byte of them, and
 * holds no folder of a pool; a worker, which holds the pools, holds no device. A worker speaks with it
 * on a pair of sockets of its own, one packet a question, with the files; the answer is one packet.
 *
 * Nothing is remembered here. A device is found again by the file that it stands on, so what an ended
 * process left is found by the next: a loop device tells its file's inode, a mapped one is named by it.
 */

enum device_op {
	DEVICE_ATTACH =
	        1, /* [image]: a device that shows it; the one that is there if there is one */
	DEVICE_SNAPSHOT =
	        2, /* [origin, changes]: the origin, not changed, with changes that are lost */
	DEVICE_CRYPT = 3,  /* [image]: encrypted with a key that nobody will have again */
	DEVICE_FIND = 4,   /* [image or changes]: the device that stands on it */
	DEVICE_DETACH = 5, /* [image or changes]: it goes; none is no error */
	DEVICE_RESIZE = 6, /* [image]: its device, if there is one, sees the file's size */
};

enum device_kind { DEVICE_NONE, DEVICE_LOOP, DEVICE_MAPPED };

#define DEVICE_READ_ONLY 1U

struct device_request {
	uint32_t op;
	uint32_t flags; /* ATTACH: DEVICE_READ_ONLY */
	uint64_t size;  /* SNAPSHOT: bytes of the device, at least those of the origin */
};

struct device_answer {
	int32_t error; /* errno; 0: done */
	uint32_t kind; /* enum device_kind */
	uint32_t number;
	char step[52]; /* what failed */
};

/** device_process_start() - forks the process: its pid, or -1 after a log line. It ends when the socket
 *  (given) and those of all workers are closed. */
pid_t device_process_start(int *ret_fd) MUST_CHECK;

/** device_confine() - the rights of that process; 0, or -1 after a log line */
int device_confine(void) MUST_CHECK;

/** device_do() - one question; @fds: borrowed, as the operation says */
void device_do(const struct device_request *q, const int *fds, size_t n_fds,
               struct device_answer *answer);

/*
 * A worker's side: each returns 0, or -1 after job_fail(). Where the ground takes files (job->devices
 * is 0) they do nothing and leave the answer as it is.
 */

/** device_client() - a worker's socket (given) to the process behind @process; 0 in its place if there
 *  is none (@process is -1). 0, or -1 with errno. */
int device_client(int process, int *ret_fd) MUST_CHECK;

/** device_attach() - the answer names the device that shows @image; device_snapshot(), device_crypt() alike */
int device_attach(struct job *job, int image, bool read_only) MUST_CHECK;
int device_snapshot(struct job *job, int origin, int changes, uint64_t size) MUST_CHECK;
int device_crypt(struct job *job, int image) MUST_CHECK;
/** device_find() - the answer names the device that a running qube has of @image */
int device_find(struct job *job, int image) MUST_CHECK;
/** device_detach() - waits a moment for the backend that still has it open. What the qube wrote is in
 *  the file then: its commit may begin. */
int device_detach(struct job *job, int image) MUST_CHECK;
int device_resize(struct job *job, int image) MUST_CHECK;

/* device_loop.c, device_map.c: 0, or -1 with errno. */

/** loop_attach() - @ret_fd: given, so that a device that is to go with its last user stays till then */
int loop_attach(int image, bool read_only, bool transient, uint32_t *ret_number, int *ret_fd)
        MUST_CHECK;
/** loop_find() - 1, 0: none */
int loop_find(int image, uint32_t *ret_number) MUST_CHECK;
/** loop_detach(), map_remove() - none is no error; EBUSY: somebody still has it open */
int loop_detach(int image) MUST_CHECK;
int loop_resize(int image) MUST_CHECK;
/** loop_grow() - it sees the size of its file */
int loop_grow(uint32_t number) MUST_CHECK;

/** map_snapshot() - over block devices, by open descriptor */
int map_snapshot(const char *name, int origin, int changes, uint64_t sectors, uint32_t *ret_number)
        MUST_CHECK;
int map_crypt(const char *name, int device, uint64_t sectors, uint32_t *ret_number) MUST_CHECK;
/** map_find() - 1, 0: none */
int map_find(const char *name, uint32_t *ret_number) MUST_CHECK;
int map_remove(const char *name) MUST_CHECK;
/** map_grow() - a snapshot in use becomes longer, by zeros; its file of changes has room already. EOPNOTSUPP: encrypted */
int map_grow(const char *name, uint64_t sectors) MUST_CHECK;
/** map_open() - before the process confines itself; 0, or -1 with errno */
int map_open(void) MUST_CHECK;

#endif
