/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROCESS_RECORD_H
#define PROCESS_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "proto/monitor.h"

/*
 * What a starter of processes writes down about each, so that its successor finds them: one file of a
 * fixed size a process in /run/skerry/records, written (to a new name, then renamed) before the
 * process may do anything. A file that is no record is removed and said.
 *
 * Trust: the folder is the system's own, mode 0700; a record is checked all the same.
 * Test:  tests/unit/process/record.c
 */

enum record_kind {
	RECORD_QUBE = 1, /* first process of a qube; the toolstack's */
	RECORD_NETWORK,  /* the connection of a qube to its netvm; the toolstack's */
	RECORD_SYSTEM,   /* of the monitor: one per system; domid: row of processes.def */
	RECORD_KEEPER,   /* of the monitor, one per qube */
	RECORD_DATABASE, /* of the monitor, one per qube */
	RECORD_DOMID,    /* no process: the number given last */
	RECORD_MAX = RECORD_DOMID,
};

#define RECORD_DATA_MAX 24U

struct record {
	uint32_t kind;
	uint32_t domid;
	uint32_t pid;
	uint64_t start; /* proc_start_time() */
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];    /* legal, or "" */
	uint32_t data[RECORD_DATA_MAX]; /* what the kind's owner needs; 0 if unused */
};

#define RECORD_LEN                                                                                 \
	(4U + 4U + 4U + 4U + 4U + 8U + MONITOR_UUID_LEN + MONITOR_NAME_LEN + 4U * RECORD_DATA_MAX)

/** record_encode() - always RECORD_LEN bytes */
void record_encode(uint8_t *out, const struct record *in);
/** record_decode() - 0, or -1: not a record */
int record_decode(const uint8_t *data, size_t len, struct record *out) MUST_CHECK;

/** record_open() - the folder, made if need be; a descriptor (given), or -1 after a log line */
int record_open(void) MUST_CHECK;

/** record_write() - at once whole, in place of an older one of that kind and domid; 0 or -1 with errno */
int record_write(int dir, const struct record *record) MUST_CHECK;

/** record_remove() - nothing if there is none; errors are logged */
void record_remove(int dir, uint32_t kind, uint32_t domid);

/** record_read() - 0, or -1 with errno (ENOENT: there is none) */
int record_read(int dir, uint32_t kind, uint32_t domid, struct record *out) MUST_CHECK;

/** record_each() - every record of a kind; fn may remove it; the number of records, or -1 with errno */
int record_each(int dir, uint32_t kind, void (*fn)(void *arg, const struct record *record),
                void *arg) MUST_CHECK;

#endif
