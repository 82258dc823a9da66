/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAGE_DATA_H
#define IMAGE_DATA_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Where dom0's state is kept between two starts of the machine: one partition, by its name in the
 * partition table. See data.c.
 */

#define DATA_NAME      "skerry-data"
#define DATA_NAME_NEW  "skerry-new" /* being made: nobody has put anything into it yet */
#define DATA_DISKS_MAX 16U

/* Partitions for images of dom0, and how those are called who read them: doc/updates.md. */
#define DATA_SLOTS       3U
#define DATA_SLOTS_PLACE "/run/skerry-slots"

struct data_disks {
	char partition[NAME_MAX + 1];             /* DATA_NAME; "" none */
	char unfinished[NAME_MAX + 1];            /* DATA_NAME_NEW; "" none */
	unsigned int n_partitions;                /* called DATA_NAME */
	char slots[DATA_SLOTS][NAME_MAX + 1];     /* a, b, the state; "" none */
	char disks[DATA_DISKS_MAX][NAME_MAX + 1]; /* that could take it */
	size_t n_disks;
};

/** data_look() - what disks there are; @only: name of the one disk that counts, or NULL */
void data_look(struct data_disks *ret_disks, const char *only);

/** data_blank() - whether nothing was ever written to a disk: its first and last MiB; 1, 0, -1 */
int data_blank(const char *disk) MUST_CHECK;

/** data_name() - the disk's first partition is called this from now on; 0, or -1 after a log line.
 *  @fresh: with a new identity, and its node is waited for: @ret_partition */
int data_name(const char *disk, const char *name, bool fresh, char ret_partition[NAME_MAX + 1])
        MUST_CHECK;

/** data_disk_of() - the disk that a partition is of; 0, or -1 after a log line */
int data_disk_of(const char *partition, char ret_disk[NAME_MAX + 1]) MUST_CHECK;

#endif
