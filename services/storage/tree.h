/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_TREE_H
#define SERVICES_STORAGE_TREE_H

#include <stdint.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/* Folders in folders, deeper than which a tree is not copied: two descriptors each. Chosen. */
#define TREE_DEPTH_MAX 400U

/* Names of one file whose links are kept together, at most; more are copied as files of their own. */
#define TREE_LINKS_MAX 200000U

/**
 * tree_copy() - what is below one folder into another, empty one
 * @job: told of progress and of what was left out; may be NULL
 *
 * Data (shared blocks where the file system can), modes, times, links of both kinds, FIFOs, user
 * attributes and access lists are kept; owners too, if this process may set them and @owner is 0: else
 * everything is @owner's. Left out: sockets and
 * devices, which have no business in a qube's data. Nothing is followed, nothing outside is read.
 * Nothing is synced: who gives the copy its name does that (dir_name_new()).
 * Errors: 0, or -1 with errno (ELOOP: deeper than TREE_DEPTH_MAX).
 */
int tree_copy(struct job *job, int from, int to, uint32_t owner) MUST_CHECK;

/** tree_usage() - bytes on disk below a folder; -1 with errno. Deeper than TREE_DEPTH_MAX is not counted. */
int tree_usage(int dir, uint64_t *ret_bytes) MUST_CHECK;

#endif
