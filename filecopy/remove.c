/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/remove.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/untrusted/text.h"

struct removal {
	const char *program;
	const struct timespec *began;
	bool keep_links;
	bool all;
};

static void stays(struct removal *r, const FTSENT *entry, const char *why)
{
	static char shown[4 * PATH_MAX];

	(void)untrusted_text_escape(shown, sizeof(shown), entry->fts_path, strlen(entry->fts_path));
	(void)fprintf(stderr, "%s: %s stays: %s\n", r->program, shown, why);
	r->all = false;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

int remove_began(struct timespec *ret_began)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct timespec stamp;

	/* Files are stamped by either clock: the fine one if somebody has just looked. */
	if (clock_gettime(CLOCK_REALTIME, ret_began))
		return -1;
	for (;;) {
		if (clock_gettime(CLOCK_REALTIME_COARSE, &stamp))
			return -1;
		if (is_later(&stamp, ret_began))
			return 0;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

static void remove_one(struct removal *r, const FTSENT *entry)
{
	if (is_later(&entry->fts_statp->st_ctim, r->began))
		stays(r, entry, "it was changed while it was copied");
	else if (unlink(entry->fts_accpath))
		stays(r, entry, strerror(errno));
}

/* After its contents. One that holds something that stays has to stay; that was told. */
static void remove_folder(struct removal *r, const FTSENT *entry)
{
	if (rmdir(entry->fts_accpath) == 0)
		return;
	if (errno != ENOTEMPTY && errno != EEXIST)
		stays(r, entry, strerror(errno));
	else if (r->all)
		stays(r, entry, "it holds something that was not copied");
}

static void remove_entry(struct removal *r, const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_D:
		return;
	case FTS_DP:
		remove_folder(r, entry);
		return;
	case FTS_F:
		remove_one(r, entry);
		return;
	case FTS_SL:
	case FTS_SLNONE:
		if (r->keep_links)
			stays(r, entry, "symbolic links were not copied");
		else
			remove_one(r, entry);
		return;
	case FTS_DEFAULT:
		stays(r, entry, "it is no file and was not copied");
		return;
	default:
		stays(r, entry,
		      entry->fts_errno ? strerror(entry->fts_errno) : "it cannot be read");
		return;
	}
}

bool remove_moved(const char *program, const char *path, const struct timespec *began,
                  bool keep_links)
{
	struct removal r = {
	        .program = program, .began = began, .keep_links = keep_links, .all = true};
	/* fts_open() takes strings that it does not write to. */
	union {
		const char *given;
		char *wanted;
	} one = {.given = path};
	char *const paths[] = {one.wanted, NULL};
	FTS *walk = fts_open(paths, FTS_PHYSICAL, NULL);
	const FTSENT *entry;

	if (!walk) {
		(void)fprintf(stderr, "%s: %s\n", program, strerror(errno));
		return false;
	}
	for (errno = 0; (entry = fts_read(walk)); errno = 0)
		remove_entry(&r, entry);
	if (errno) {
		(void)fprintf(stderr, "%s: %s\n", program, strerror(errno));
		r.all = false;
	}
	(void)fts_close(walk);
	return r.all;
}
