/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_DISK_H
#define SERVICES_STORAGE_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/* Files and folders by descriptor. Nothing here follows a symbolic link or leaves the folder it is given. */

#define DISK_TRASH ".skerry-trash" /* in a pool: what is removed when there is time */
#define DISK_INTENT                                                                                \
	".skerry-intent" /* in a pool: removals that have begun, a link named and leading like the volume */

/** disk_open_beneath() - openat2 that stays below dir and follows no link; descriptor or -1 with errno */
int disk_open_beneath(int dir, const char *path, int flags, mode_t mode) MUST_CHECK;

/** disk_make_folders() - mkdir -p of a relative path, each synced into its parent; 0 or -1 with errno */
int disk_make_folders(int dir, const char *path, mode_t mode) MUST_CHECK;

/** disk_sync_folder() - 0 or -1 with errno; dir may be an O_PATH descriptor */
int disk_sync_folder(int dir) MUST_CHECK;

/**
 * disk_copy_data() - what one regular file holds into another, empty one: shared blocks where the file
 * system can, else the parts that are not holes. Sizes are the same afterwards.
 * @job:       told of the progress; may be NULL
 * @st:        what fstat() says of from
 * @no_shares: set when the file system turned out to share nothing, and then not asked again; may be NULL
 * Errors: 0, or -1 with errno.
 */
int disk_copy_data(struct job *job, int from, int to, const struct stat *st, bool *no_shares)
        MUST_CHECK;

/** disk_reflinks() - whether the file system of this folder can share blocks: 1, 0, or -1 with errno */
int disk_reflinks(int dir) MUST_CHECK;

/** disk_name() - base + suffix; -1 with errno ENAMETOOLONG */
int disk_name(char out[NAME_MAX + 1], const struct place *at, const char *suffix) MUST_CHECK;

/** disk_exists() - 1, 0, or -1 with errno; ret_st may be NULL */
int disk_exists(int dir, const char *name, struct stat *ret_st) MUST_CHECK;

/** disk_chmod() - of a folder or a regular file, never of what a link leads to */
int disk_chmod(int dir, const char *name, mode_t mode);

/** disk_discard() - out of sight at once, into the trash of the pool; nothing there is no error */
int disk_discard(int pool, int dir, const char *name) MUST_CHECK;

/** disk_remove_all() - everything below dir/name and itself, however deep; 0 or -1 with errno */
int disk_remove_all(int dir, const char *name) MUST_CHECK;

/** disk_sweep() - empties the trash of a pool */
int disk_sweep(int pool) MUST_CHECK;

/** disk_vid_name() - a volume's identifier as one name; 0, or -1 with errno ENAMETOOLONG */
int disk_vid_name(char out[NAME_MAX + 1], const char *vid) MUST_CHECK;

/** disk_intent_put(), _drop(), _read() - that a volume is being removed; 0 or -1 with errno */
int disk_intent_put(int pool, const char *vid) MUST_CHECK;
int disk_intent_drop(int pool, const char *vid) MUST_CHECK;
int disk_intent_read(int dir, const char *name, char vid[STORAGE_VID_LEN]) MUST_CHECK;

/** disk_read_link(), disk_put_link() - a short text that is replaced in one step; 0 or -1 with errno
 *  @sync: it is on disk on return */
int disk_read_link(int dir, const char *name, char *text, size_t max) MUST_CHECK;
int disk_put_link(int dir, const char *name, const char *text, bool sync) MUST_CHECK;

/** disk_each() - fn for each name in a folder but "." and ".."; stops at the first that is not 0 */
int disk_each(int dir, int (*fn)(void *arg, int dir, const char *name), void *arg) MUST_CHECK;

#endif
