/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver directory: a volume is a tree of files, for qubes that are namespaces (see directory.h).
 *
 * A volume that keeps its data is worked on in place, unless others are snapshots of it or revisions
 * are asked for: then the qube works on a copy, which becomes the present state when it stops. A
 * snapshot that only reads uses its source's state where it lies; one that writes is a copy.
 */
#include "services/storage/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/disk.h"
#include "services/storage/tree.h"

/* What is in a qube's tree may carry any mode: no other user is to come near it. */
#define FOLDER_MODE 0700

bool dir_in_place(const struct job *job)
{
	return (job->q.flags & STORAGE_F_SAVE) &&
	       (job->q.keep == -1 || (job->q.keep == 0 && !(job->q.flags & STORAGE_F_SHARED)));
}

int dir_open(struct job *job, const struct place *at, bool make)
{
	int fd;

	if (at->dir < 0)
		return job_fail(job, STORAGE_E_MISSING, "there is no %s", job->q.vid);
	if (make && mkdirat(at->dir, at->base, FOLDER_MODE) && errno != EEXIST)
		return job_fail_errno(job, "%s", at->base);
	fd = openat(at->dir, at->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return job_fail(job, STORAGE_E_MISSING, "there is no volume %s in pool %s",
		                at == &job->from ? job->q.source : job->q.vid,
		                at == &job->from ? job->source_pool->name : job->pool->name);
	return job_fail_errno(job, "%s", at->base);
}

uint64_t dir_state(int vol, const char *link)
{
	char text[32], *end;
	uint64_t n;

	if (disk_read_link(vol, link, text, sizeof(text)) || text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	return *end == '\0' && !errno && n < INT64_MAX ? n : 0;
}

static void number_text(char out[24], uint64_t n)
{
	(void)snprintf(out, 24, "%" PRIu64, n);
}

/* The tree of a number: descriptor, or -1 with errno. */
static int open_state(int vol, uint64_t number)
{
	char name[24];

	number_text(name, number);
	return openat(vol, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

struct states {
	uint64_t *list;
	size_t n;
};

static int add_state(void *arg, int dir UNUSED, const char *name)
{
	struct states *s = arg;
	uint64_t *grown, n;
	char *end;

	if (name[0] < '1' || name[0] > '9')
		return 0;
	n = strtoull(name, &end, 10);
	if (*end != '\0' || n >= INT64_MAX)
		return 0;
	grown = realloc(s->list, (s->n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	s->list = grown;
	s->list[s->n++] = n;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

ssize_t dir_states(int vol, uint64_t **ret_list)
{
	struct states s = {0};

	*ret_list = NULL;
	if (disk_each(vol, add_state, &s)) {
		free(s.list);
		return -1;
	}
	if (s.n > 0)
		qsort(s.list, s.n, sizeof(*s.list), by_number);
	*ret_list = s.list;
	return (ssize_t)s.n;
}

int dir_new(struct job *job, int vol)
{
	int fd;

	if (disk_discard(job->pool_fd, vol, DIR_NEW) || mkdirat(vol, DIR_NEW, 0755))
		return job_fail_errno(job, "a new tree of %s", job->q.vid);
	fd = openat(vol, DIR_NEW, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return job_fail_errno(job, "a new tree of %s", job->q.vid);
	if (fchmod(fd, 0755) == 0 &&
	    (job->q.owner == 0 || geteuid() != 0 || fchown(fd, job->q.owner, job->q.owner) == 0))
		return fd;
	job_fail_errno(job, "a new tree of %s", job->q.vid);
	return fd_close(fd);
}

/*
 * The link first: a number that a link names and that is not there was never finished; a tree that
 * nothing names would be taken for a revision.
 *
 * Only what a qube will work on and keep has to be on disk before it has its name: a tree that is to become
 * the present state is synced by dir_commit(), and what nobody keeps is thrown away by the next start. To
 * sync that was most of what a start waited for, longer still where others write to the same disk.
 */
int dir_name_new(struct job *job, int vol, const char *link, uint64_t *ret_number)
{
	bool kept = job->q.flags & STORAGE_F_SAVE;
	uint64_t *list, number = 1;
	ssize_t n = dir_states(vol, &list);
	char name[24];

	if (n > 0)
		number = list[n - 1] + 1;
	free(list);
	if (n < 0)
		return job_fail_errno(job, "the states of %s cannot be read", job->q.vid);
	number_text(name, number);
	if (kept && strcmp(link, DIR_DIRTY) == 0 && syncfs(vol))
		return job_fail_errno(job, "%s cannot be synced", job->q.vid);
	STEP();
	if (disk_put_link(vol, link, name, kept))
		return job_fail_errno(job, "%s: %s", job->q.vid, link);
	STEP();
	if (renameat(vol, DIR_NEW, vol, name) || (kept && fsync(vol)))
		return job_fail_errno(job, "%s: %s", job->q.vid, name);
	STEP();
	if (ret_number)
		*ret_number = number;
	return 0;
}

static int is_pinned(void *arg, int dir, const char *name)
{
	uint64_t *wanted = arg;

	/* 1 stops the walk. */
	return dir_state(dir, name) == *wanted;
}

static bool pinned(int vol, uint64_t number)
{
	OWNED_FD int pins = openat(vol, DIR_PINS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* If it cannot be told, it is. */
	return pins < 0 ? errno != ENOENT : disk_each(pins, is_pinned, &number) != 0;
}

int dir_prune(struct job *job, int vol, int64_t keep)
{
	uint64_t *list, named[] = {dir_state(vol, DIR_CURRENT), dir_state(vol, DIR_DIRTY),
	                           dir_state(vol, DIR_NEXT), dir_state(vol, DIR_HELD)};
	ssize_t n = dir_states(vol, &list);
	int r = n < 0 ? -1 : 0;

	for (ssize_t i = n - 1; r == 0 && i >= 0; i--) {
		char name[24];

		if (list[i] == named[0] || list[i] == named[1] || list[i] == named[2] ||
		    list[i] == named[3])
			continue;
		if (keep > 0 && keep-- > 0)
			continue;
		if (pinned(vol, list[i]))
			continue;
		number_text(name, list[i]);
		STEP();
		r = disk_discard(job->pool_fd, vol, name);
	}
	free(list);
	return r ? job_fail_errno(job, "old states of %s cannot be removed", job->q.vid) : 0;
}

/* A tree that "next" names was never promised to anyone, nor was a "dirty" that is not there. */
int dir_tidy(struct job *job, int vol)
{
	uint64_t next = dir_state(vol, DIR_NEXT), dirty = dir_state(vol, DIR_DIRTY);
	char name[24];

	if (disk_discard(job->pool_fd, vol, DIR_NEW))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_NEW);
	if (next) {
		number_text(name, next);
		if (next != dir_state(vol, DIR_CURRENT) && disk_discard(job->pool_fd, vol, name))
			return job_fail_errno(job, "%s: %s", job->q.vid, name);
		if (unlinkat(vol, DIR_NEXT, 0) && errno != ENOENT)
			return job_fail_errno(job, "%s: %s", job->q.vid, DIR_NEXT);
	}
	number_text(name, dirty);
	if (dirty && disk_exists(vol, name, NULL) == 0 && unlinkat(vol, DIR_DIRTY, 0))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_DIRTY);
	return 0;
}

int dir_commit(struct job *job, int vol, const char *link)
{
	if (syncfs(vol))
		return job_fail_errno(job, "%s cannot be synced", job->q.vid);
	STEP();
	if (renameat(vol, link, vol, DIR_CURRENT) || fsync(vol))
		return job_fail_errno(job, "%s cannot become the present state of %s", link,
		                      job->q.vid);
	STEP();
	return dir_prune(job, vol, job->q.keep);
}

static int directory_setup(struct job *job UNUSED)
{
	return 0;
}

static int directory_create(struct job *job)
{
	OWNED_FD int vol = -1;
	OWNED_FD int tree = -1;

	if (!(job->q.flags & STORAGE_F_SAVE))
		return 0;
	vol = dir_open(job, &job->at, true);
	if (vol < 0)
		return -1;
	if (dir_state(vol, DIR_CURRENT))
		return job_fail(job, STORAGE_E_EXISTS, "%s is already there", job->q.vid);
	if (dir_tidy(job, vol))
		return -1;
	tree = dir_new(job, vol);
	if (tree < 0 || dir_fill(job, tree) || dir_name_new(job, vol, DIR_NEXT, NULL))
		return -1;
	return dir_commit(job, vol, DIR_NEXT);
}

static int drop_pin(struct job *job)
{
	OWNED_FD int source = job->from.dir < 0
	                              ? -1
	                              : openat(job->from.dir, job->from.base,
	                                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	OWNED_FD int pins = source < 0 ? -1
	                               : openat(source, DIR_PINS,
	                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[NAME_MAX + 1];

	if (pins < 0 || disk_vid_name(name, job->q.vid))
		return 0;
	return unlinkat(pins, name, 0) && errno != ENOENT
	               ? job_fail_errno(job, "the hold of %s", job->q.vid)
	               : 0;
}

static int directory_remove(struct job *job)
{
	if (job->at.dir < 0)
		return 0;
	STEP();
	if (((job->q.flags & STORAGE_F_SNAP) && drop_pin(job)))
		return -1;
	if (disk_discard(job->pool_fd, job->at.dir, job->at.base) || disk_sync_folder(job->at.dir))
		return job_fail_errno(job, "%s cannot be removed", job->q.vid);
	return 0;
}

static int directory_verify(struct job *job)
{
	bool snap = job->q.flags & STORAGE_F_SNAP;
	OWNED_FD int vol = -1;

	if (!snap && !(job->q.flags & STORAGE_F_SAVE))
		return 0;
	vol = dir_open(job, snap ? &job->from : &job->at, false);
	if (vol < 0)
		return -1;
	if (!dir_state(vol, DIR_CURRENT))
		return job_fail(job, STORAGE_E_MISSING, "%s holds no data",
		                snap ? job->q.source : job->q.vid);
	return 0;
}

/* The present state of a volume, to read from. */
static int open_data(struct job *job, const struct place *at)
{
	bool source = at == &job->from;
	OWNED_FD int vol = dir_open(job, at, false);
	uint64_t state = vol < 0 ? 0 : dir_state(vol, DIR_CURRENT);
	int fd = -1;

	if (vol < 0)
		return -1;
	/* Without a copy that the qube works on, the present state is what it is changing. */
	if ((source ? job->source_running : job->running) && !dir_state(vol, DIR_DIRTY))
		return job_fail(
		        job, STORAGE_E_IN_USE,
		        "%s is changed in place by a running qube: stop it first, or let it keep "
		        "revisions (revisions_to_keep)",
		        source ? job->q.source : job->q.vid);
	if (state)
		fd = open_state(vol, state);
	if (fd < 0)
		return job_fail(job, STORAGE_E_MISSING, "%s holds no data",
		                source ? job->q.source : job->q.vid);
	return fd;
}

static int copy_for_start(struct job *job, int vol, int from)
{
	OWNED_FD int tree = dir_new(job, vol);

	if (tree < 0)
		return -1;
	STEP();
	if (tree_copy(job, from, tree, job->q.owner))
		return job_fail_errno(job, "%s cannot be copied", job->q.vid);
	return dir_name_new(job, vol, DIR_DIRTY, NULL);
}

static int start_snapshot(struct job *job, int vol)
{
	OWNED_FD int source = dir_open(job, &job->from, false);
	uint64_t state = source < 0 ? 0 : dir_state(source, DIR_CURRENT);
	char pin[NAME_MAX + 1], text[24];
	OWNED_FD int pins = -1;
	OWNED_FD int from = -1;

	if (source < 0)
		return -1;
	from = open_data(job, &job->from);
	if (from < 0)
		return -1;
	number_text(text, state);
	if (disk_put_link(vol, DIR_SOURCE, text, false))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_SOURCE);
	if (job->q.flags & STORAGE_F_RW)
		return copy_for_start(job, vol, from);
	if (mkdirat(source, DIR_PINS, 0700) && errno != EEXIST)
		return job_fail_errno(job, "the hold of %s", job->q.vid);
	pins = openat(source, DIR_PINS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pins < 0 || disk_vid_name(pin, job->q.vid) || disk_put_link(pins, pin, text, false))
		return job_fail_errno(job, "the hold of %s", job->q.vid);
	return 0;
}

static int start_origin(struct job *job, int vol)
{
	OWNED_FD int from = -1;

	if (dir_state(vol, DIR_DIRTY))
		return job_fail(job, STORAGE_E_IN_USE, "%s is in use", job->q.vid);
	from = open_data(job, &job->at);
	if (from < 0)
		return -1;
	return dir_in_place(job) ? 0 : copy_for_start(job, vol, from);
}

static int directory_start(struct job *job)
{
	bool saves = job->q.flags & STORAGE_F_SAVE, snap = job->q.flags & STORAGE_F_SNAP;
	OWNED_FD int vol = dir_open(job, &job->at, !saves);
	OWNED_FD int tree = -1;

	if (vol < 0)
		return -1;
	if (job->q.flags & STORAGE_F_ADOPT)
		return dir_info(job);
	if (disk_discard(job->pool_fd, vol, DIR_IMPORT))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_IMPORT);
	if (dir_tidy(job, vol))
		return -1;
	if (saves)
		return start_origin(job, vol) ? -1 : dir_info(job);
	/* Nobody keeps what an earlier start left. */
	if (unlinkat(vol, DIR_DIRTY, 0) && errno != ENOENT)
		return job_fail_errno(job, "%s", job->q.vid);
	if (dir_prune(job, vol, 0))
		return -1;
	if (snap)
		return start_snapshot(job, vol) ? -1 : dir_info(job);
	tree = dir_new(job, vol);
	if (tree < 0 || dir_name_new(job, vol, DIR_DIRTY, NULL))
		return -1;
	return dir_info(job);
}

static int stop_origin(struct job *job, int vol)
{
	uint64_t before = dir_state(vol, DIR_CURRENT);
	char text[24];

	if (dir_tidy(job, vol))
		return -1;
	if (!dir_state(vol, DIR_DIRTY))
		return syncfs(vol) ? job_fail_errno(job, "%s cannot be synced", job->q.vid)
		                   : dir_prune(job, vol, job->q.keep);
	if ((job->q.flags & STORAGE_F_RECOVER) && !job->same_boot) {
		number_text(text, before);
		if (disk_put_link(vol, DIR_HELD, text, true))
			return job_fail_errno(job, "%s: %s", job->q.vid, DIR_HELD);
		job_note(job,
		         "%s was in use when the machine stopped. What had reached the disk is its "
		         "present "
		         "state; the state before that start is kept as revision %" PRIu64 ".",
		         job->q.vid, before);
	}
	return dir_commit(job, vol, DIR_DIRTY);
}

static int directory_stop(struct job *job)
{
	OWNED_FD int vol = -1;

	if (job->at.dir < 0 || disk_exists(job->at.dir, job->at.base, NULL) == 0)
		return 0;
	vol = dir_open(job, &job->at, false);
	if (vol < 0)
		return -1;
	if (job->q.flags & STORAGE_F_SAVE)
		return stop_origin(job, vol);
	STEP();
	return directory_remove(job);
}

static int directory_resize(struct job *job)
{
	/* A tree has no size of its own: the number is the admin service's. */
	job->out.size = job->q.size;
	return 0;
}

const struct driver driver_directory = {
        .setup = directory_setup,
        .open_data = open_data,
        .run =
                {
                        [STORAGE_CREATE] = directory_create,
                        [STORAGE_REMOVE] = directory_remove,
                        [STORAGE_VERIFY] = directory_verify,
                        [STORAGE_START] = directory_start,
                        [STORAGE_STOP] = directory_stop,
                        [STORAGE_CLONE] = dir_clone,
                        [STORAGE_RESIZE] = directory_resize,
                        [STORAGE_INFO] = dir_info,
                        [STORAGE_REVISIONS] = dir_revisions,
                        [STORAGE_REVERT] = dir_revert,
                        [STORAGE_CLEAR] = dir_clear,
                        [STORAGE_IMPORT_BEGIN] = dir_import_begin,
                        [STORAGE_IMPORT_END] = dir_import_end,
                        [STORAGE_EXPORT] = dir_export,
                        [STORAGE_EXPORT_END] = dir_export_end,
                },
};
