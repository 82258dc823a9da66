/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_IMAGE_H
#define SERVICES_STORAGE_IMAGE_H

#include <limits.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/* What the two files of the image drivers share. Each function: 0, or -1 after job_fail(). */

#define IMAGE_CLEAN     ".img"
#define IMAGE_DIRTY     "-dirty.img"
#define IMAGE_IMPORT    "-import.img"
#define IMAGE_TEMPORARY ".img~new~"

struct names {
	char clean[NAME_MAX + 1], dirty[NAME_MAX + 1], import[NAME_MAX + 1],
	        temporary[NAME_MAX + 1];
};

int image_names(struct job *job, const struct place *at, struct names *n) MUST_CHECK;

/** image_saves(), image_in_place() - what kind of volume the request is about */
bool image_saves(const struct job *job);
bool image_in_place(const struct job *job);

/** image_belongs() - whether a file is this volume's, and not of one whose name begins the same */
bool image_belongs(const char *base, const char *name);

/** image_exists() - 1, 0, or -1 after job_fail() */
int image_exists(struct job *job, const char *name) MUST_CHECK;

/** image_new_file() - empty, of this size, under the temporary name: its descriptor (given) or -1 */
int image_new_file(struct job *job, const struct names *n, uint64_t size) MUST_CHECK;

/** image_put() - the temporary file gets this name */
int image_put(struct job *job, const struct names *n, const char *name) MUST_CHECK;

/** image_copy_to() - the data of an open file as a new file of this name; @sync: it survives a crash */
int image_copy_to(struct job *job, const struct names *n, int from, const char *name, bool sync)
        MUST_CHECK;

/** image_open_clean() - the present state, to read: descriptor (given) or -1 */
int image_open_clean(struct job *job, const struct place *at) MUST_CHECK;

/** image_unshare() - nothing else is called what BASE.img is, so that it may be written to */
int image_unshare(struct job *job, const struct names *n) MUST_CHECK;

/** image_make_revision() - the present state as a revision, unless it is one; ret_number 0: none */
int image_make_revision(struct job *job, const struct names *n, uint64_t *ret_number) MUST_CHECK;

/** image_commit() - a file becomes the present state; @crashed: what it holds is what a crash left */
int image_commit(struct job *job, const struct names *n, const char *file, bool crashed) MUST_CHECK;

/** image_changes_apart() - a snapshot's changes are kept by the kernel, in a file beside its source;
 *  image_make_changes() - that file; image_changes_size() - how long it is for a device of so many bytes */
bool image_changes_apart(const struct job *job);
uint64_t image_changes_size(uint64_t size);
int image_make_changes(struct job *job, const struct names *n, int origin) MUST_CHECK;

/** image_give() - the answer of START: the file, or a device over it; image_take_back() - no device any
 *  more, and what was written to it is in the file */
int image_give(struct job *job, const struct names *n) MUST_CHECK;
int image_take_back(struct job *job, const struct names *n) MUST_CHECK;

/* Requests: what struct driver has places for. */
int image_list(struct job *job);
int image_clone(struct job *job);
int image_resize(struct job *job);
int image_info(struct job *job);
int image_revisions(struct job *job);
int image_revert(struct job *job);
int image_clear(struct job *job);
int image_import_begin(struct job *job);
int image_import_end(struct job *job);
int image_export(struct job *job);

#endif
