/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_REVISION_H
#define SERVICES_STORAGE_REVISION_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/base/compat.h"
#include "services/storage/job.h"

/*
 * Old states of a volume, beside it: BASE[.img].N@YYYY-MM-DDTHH:MM:SSZ, N counting up from 1, the time
 * that of the state. Those that were made when a crash was found are held: BASE[.img].held names the
 * first and the last of them, and they go only when a later crash is found.
 */

struct revision {
	uint64_t number;
	bool held;
	ino_t ino;
	char name[NAME_MAX + 1];
};

#define REVISIONS_MAX 4096 /* of one volume; chosen */

struct revisions {
	struct revision *list; /* owned; by number, lowest first */
	size_t n;
};

/** revisions_read() - @stem is "BASE.img" or "BASE"; 0, or -1 with errno; revisions_free() in both cases */
int revisions_read(struct revisions *r, int dir, const char *stem) MUST_CHECK;
void revisions_free(struct revisions *r);

/** revision_find() - by the text of its number; NULL */
const struct revision *revision_find(const struct revisions *r, const char *id);

/** revision_next_name() - for a state that was made at st's time; 0 or -1 with errno */
int revision_next_name(const struct revisions *r, const char *stem, const struct stat *st,
                       char out[NAME_MAX + 1]) MUST_CHECK;

/** revisions_prune() - all but the newest @keep (and the held ones) leave; 0 or -1 with errno */
int revisions_prune(struct job *job, const char *stem, int64_t keep) MUST_CHECK;

/** revisions_hold() - these stay, and those that were held before are ordinary again; 0 or -1 */
int revisions_hold(int dir, const char *stem, uint64_t first, uint64_t last) MUST_CHECK;

#endif
