/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_DIRECTORY_H
#define SERVICES_STORAGE_DIRECTORY_H

#include <stdint.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/*
 * A volume is a folder. In it, each state is a tree that is called by a number, and links say which is
 * which: "current" the present one, "dirty" the one a running qube changes, "next" one that is about
 * to be the present one. A link is replaced by one rename: that is the commit. Numbers that nothing
 * names are revisions. A snapshot that only reads has no tree: "source" names the state of its source
 * that it uses, and a link in the source's folder "pins" keeps that state from being removed.
 */
#define DIR_CURRENT "current"
#define DIR_DIRTY   "dirty"
#define DIR_NEXT    "next"
#define DIR_SOURCE  "source"
#define DIR_PINS    "pins"
#define DIR_NEW     "new" /* a tree that is not whole yet */
#define DIR_IMPORT  "import.tar"
#define DIR_USAGE   "usage" /* bytes, when they were last counted */
#define DIR_HELD    "held"  /* a state that was there when a crash was found */

/* Each: 0, or -1 after job_fail(). */

/** dir_open() - the volume's folder: descriptor (given), or -1; @make: it is made if it is not there */
int dir_open(struct job *job, const struct place *at, bool make) MUST_CHECK;

/** dir_state() - the number that a link names; 0: no such link */
uint64_t dir_state(int vol, const char *link);

/** dir_new() - an empty tree under the temporary name: descriptor (given) or -1 */
int dir_new(struct job *job, int vol) MUST_CHECK;

/** dir_name_new() - the temporary tree gets a number that was never used, after @link names it */
int dir_name_new(struct job *job, int vol, const char *link, uint64_t *ret_number) MUST_CHECK;

/** dir_commit() - what @link ("dirty" or "next") names becomes the present state; old ones go */
int dir_commit(struct job *job, int vol, const char *link) MUST_CHECK;

/** dir_tidy() - what a crash or an end left half made goes; dir_prune() - states that nobody keeps */
int dir_tidy(struct job *job, int vol) MUST_CHECK;
int dir_prune(struct job *job, int vol, int64_t keep) MUST_CHECK;

/** dir_states() - the numbers of all trees, lowest first; -1 with errno, else how many (to be freed) */
ssize_t dir_states(int vol, uint64_t **ret_list) MUST_CHECK;

/** dir_in_place() - the qube changes the present state itself */
bool dir_in_place(const struct job *job);

/** dir_measure() - counts the bytes of a volume, for DIR_USAGE */
int dir_measure(struct job *job);

/** dir_fill() - the skeleton of a private volume into an empty tree */
int dir_fill(struct job *job, int tree) MUST_CHECK;

int dir_info(struct job *job);
int dir_clone(struct job *job);
int dir_clear(struct job *job);
int dir_import_begin(struct job *job);
int dir_import_end(struct job *job);
int dir_revert(struct job *job);
int dir_revisions(struct job *job);
int dir_export(struct job *job);
int dir_export_end(struct job *job);

#endif
