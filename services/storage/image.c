/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drivers file-reflink and file: a volume is BASE.img, in use it is BASE-dirty.img. Names and promises
 * are those that Qubes software expects (doc/protocol/storage.md).
 *
 * Every change of what BASE.img names is one rename of a synced file. The state before it stays as a
 * hard link, made before: nobody writes to BASE.img, so a link costs nothing and cannot be half made.
 * A crash in between leaves a newest revision that is BASE.img itself; it is not listed, and taken as
 * made by the next image_commit, so no revision is pushed out by a copy of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/disk.h"
#include "services/storage/image.h"
#include "services/storage/job.h"
#include "services/storage/revision.h"

#define FILE_MODE 0660

int image_names(struct job *job, const struct place *at, struct names *n)
{
	if (disk_name(n->clean, at, IMAGE_CLEAN) || disk_name(n->dirty, at, IMAGE_DIRTY) ||
	    disk_name(n->import, at, IMAGE_IMPORT) || disk_name(n->temporary, at, IMAGE_TEMPORARY))
		return job_fail_errno(job, "%s", job->q.vid);
	return 0;
}

bool image_saves(const struct job *job)
{
	return job->q.flags & STORAGE_F_SAVE;
}

bool image_in_place(const struct job *job)
{
	return image_saves(job) && job->q.keep == -1;
}

static int64_t keep_of(const struct job *job)
{
	return job->pool->driver == STORAGE_FILE ? MIN(job->q.keep, 1) : job->q.keep;
}

int image_exists(struct job *job, const char *name)
{
	int r = disk_exists(job->at.dir, name, NULL);

	return r < 0 ? job_fail_errno(job, "%s", name) : r;
}

/* A new file of this size under the temporary name; its descriptor. */
int image_new_file(struct job *job, const struct names *n, uint64_t size)
{
	int fd;

	if (disk_remove_all(job->at.dir, n->temporary))
		return job_fail_errno(job, "%s cannot be removed", n->temporary);
	fd = openat(job->at.dir, n->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            FILE_MODE);
	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		return fd;
	job_fail_errno(job, "%s cannot be made", n->temporary);
	return fd_close(fd);
}

int image_put(struct job *job, const struct names *n, const char *name)
{
	STEP();
	if (renameat(job->at.dir, n->temporary, job->at.dir, name))
		return job_fail_errno(job, "%s cannot be renamed to %s", n->temporary, name);
	STEP();
	if (disk_sync_folder(job->at.dir))
		return job_fail_errno(job, "the folder of %s cannot be synced", job->q.vid);
	return 0;
}

/* The data of an open file as a new file of this name. @sync: it is to survive a crash. */
int image_copy_to(struct job *job, const struct names *n, int from, const char *name, bool sync)
{
	OWNED_FD int to = image_new_file(job, n, 0);
	struct stat st;

	if (to < 0)
		return -1;
	STEP();
	if (fstat(from, &st) || disk_copy_data(job, from, to, &st, NULL) || (sync && fsync(to))) {
		job_fail_errno(job, "the data of %s cannot be copied", job->q.vid);
		(void)unlinkat(job->at.dir, n->temporary, 0);
		return -1;
	}
	return image_put(job, n, name);
}

int image_open_clean(struct job *job, const struct place *at)
{
	char name[NAME_MAX + 1];
	int fd;

	if (disk_name(name, at, IMAGE_CLEAN))
		return job_fail_errno(job, "%s", at->base);
	fd = at->dir < 0 ? -1
	                 : openat(at->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (at->dir < 0 || errno == ENOENT)
		return job_fail(job, STORAGE_E_MISSING, "there is no %s", name);
	return job_fail_errno(job, "%s cannot be opened", name);
}

/* Nothing else is called what is written to: a snapshot or a revision may be the same file. */
int image_unshare(struct job *job, const struct names *n)
{
	OWNED_FD int fd = -1;
	struct stat st;

	if (fstatat(job->at.dir, n->clean, &st, AT_SYMLINK_NOFOLLOW))
		return job_fail_errno(job, "%s", n->clean);
	if (st.st_nlink == 1)
		return 0;
	fd = image_open_clean(job, &job->at);
	return fd < 0 ? -1 : image_copy_to(job, n, fd, n->clean, true);
}

static int image_finish(struct job *job);

static int image_setup(struct job *job)
{
	int r = disk_reflinks(job->pool_fd);

	if (r < 0)
		return job_fail_errno(job, "%s", job->pool->dir);
	if (r == 0 && job->pool->driver == STORAGE_FILE_REFLINK && job->pool->setup_check)
		return job_fail(
		        job, STORAGE_E_UNSUPPORTED,
		        "the file system of %s cannot share blocks between files (reflink); use "
		        "btrfs, XFS or bcachefs, or setup_check=no for a pool that copies",
		        job->pool->dir);
	return image_finish(job);
}

static int image_create(struct job *job)
{
	OWNED_FD int fd = -1;
	struct names n;
	int r;

	if (image_names(job, &job->at, &n))
		return -1;
	if (!image_saves(job))
		return 0;
	r = image_exists(job, n.clean);
	if (r)
		return r < 0 ? -1 : job_fail(job, STORAGE_E_EXISTS, "%s is already there", n.clean);
	fd = image_new_file(job, &n, job->q.size);
	if (fd < 0)
		return -1;
	if (fsync(fd))
		return job_fail_errno(job, "%s", n.temporary);
	return image_put(job, &n, n.clean);
}

/* Every file of this volume, and of no other that begins the same. */
bool image_belongs(const char *base, const char *name)
{
	size_t len = strlen(base);
	const char *rest = name + len;

	if (strncmp(name, base, len) != 0)
		return false;
	return strncmp(rest, IMAGE_CLEAN, 4) == 0 || strcmp(rest, IMAGE_DIRTY) == 0 ||
	       strcmp(rest, IMAGE_IMPORT) == 0;
}

struct discarding {
	struct job *job;
	bool data; /* the state that counts and its revisions */
};

static int discard_entry(void *arg, int dir, const char *name)
{
	struct discarding *d = arg;
	size_t len = strlen(d->job->at.base);
	bool data;

	if (!image_belongs(d->job->at.base, name))
		return 0;
	data = strncmp(name + len, IMAGE_CLEAN, 4) == 0 && !strchr(name, '~');
	if (data != d->data)
		return 0;
	STEP();
	return disk_discard(d->job->pool_fd, dir, name);
}

static int discard_files(struct job *job)
{
	struct discarding d = {.job = job};

	/* What nobody would miss first. */
	if (disk_each(job->at.dir, discard_entry, &d))
		return -1;
	d.data = true;
	return disk_each(job->at.dir, discard_entry, &d) ? -1 : disk_sync_folder(job->at.dir);
}

/* A removal is several renames: once it has begun it is finished, after a crash by image_finish(). */
static int image_remove(struct job *job)
{
	if (job->at.dir < 0)
		return 0;
	if (disk_intent_put(job->pool_fd, job->q.vid))
		return job_fail_errno(job, "the removal of %s cannot be noted down", job->q.vid);
	STEP();
	if (discard_files(job) || disk_intent_drop(job->pool_fd, job->q.vid))
		return job_fail_errno(job, "%s cannot be removed", job->q.vid);
	return 0;
}

static int finish_removal(void *arg, int dir, const char *name)
{
	struct job *job = arg;
	int r;

	if (disk_intent_read(dir, name, job->q.vid))
		return 0;
	r = job_place(job->pool_fd, job->q.vid, &job->at);
	if (r == 0)
		r = discard_files(job);
	job->at.dir = fd_close(job->at.dir);
	if (r && errno != ENOENT)
		return -1;
	return disk_intent_drop(job->pool_fd, job->q.vid);
}

/* Removals that a crash cut off. */
static int image_finish(struct job *job)
{
	OWNED_FD int intents =
	        disk_open_beneath(job->pool_fd, DISK_INTENT, O_RDONLY | O_DIRECTORY, 0);
	int r = intents < 0 ? 0 : disk_each(intents, finish_removal, job);

	memset(job->q.vid, 0, sizeof(job->q.vid));
	return r ? job_fail_errno(job, "a removal in %s cannot be finished", job->pool->dir) : 0;
}

static int image_verify(struct job *job)
{
	OWNED_FD int fd = -1;

	if (job->q.flags & STORAGE_F_SNAP) {
		fd = image_open_clean(job, &job->from);
		return fd < 0 ? -1 : 0;
	}
	if (!image_saves(job))
		return 0;
	fd = image_open_clean(job, &job->at);
	return fd < 0 ? -1 : 0;
}

static int start_snapshot(struct job *job, const struct names *n)
{
	OWNED_FD int from = -1;
	struct names source;

	if (job->source_pool != job->pool)
		return job_fail(job, STORAGE_E_UNSUPPORTED,
		                "a snapshot must be in the pool of its source");
	if (image_names(job, &job->from, &source))
		return -1;
	if (disk_remove_all(job->at.dir, n->clean))
		return job_fail_errno(job, "%s", n->clean);
	/* The link is how it is seen later that the source has changed. */
	if (linkat(job->from.dir, source.clean, job->at.dir, n->clean, 0)) {
		if (errno == ENOENT)
			return job_fail(job, STORAGE_E_MISSING, "there is no %s", job->q.source);
		return job_fail_errno(job, "%s", n->clean);
	}
	from = image_open_clean(job, &job->at);
	if (from < 0)
		return -1;
	return image_changes_apart(job) ? image_make_changes(job, n, from)
	                                : image_copy_to(job, n, from, n->dirty, false);
}

static int start_origin(struct job *job, const struct names *n)
{
	OWNED_FD int from = -1;

	if (image_in_place(job))
		return image_unshare(job, n);
	from = image_open_clean(job, &job->at);
	return from < 0 ? -1 : image_copy_to(job, n, from, n->dirty, true);
}

/* A snapshot may be smaller than the volume is said to be. */
static int grow_dirty(struct job *job, const struct names *n)
{
	OWNED_FD int fd = openat(job->at.dir, n->dirty, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) ||
	    (st.st_size < (off_t)job->q.size && ftruncate(fd, (off_t)job->q.size)))
		return job_fail_errno(job, "%s", n->dirty);
	return 0;
}

static int image_start(struct job *job)
{
	struct names n;
	int r;

	if (image_names(job, &job->at, &n))
		return -1;
	if ((job->q.flags & STORAGE_F_EPHEMERAL) && job->devices == 0)
		return job_fail(job, STORAGE_E_UNSUPPORTED,
		                "%s is to be ephemeral, which this ground cannot do: no dm-crypt",
		                job->q.vid);
	r = (job->q.flags & STORAGE_F_ADOPT) ? 0 : image_exists(job, n.dirty);
	if (r < 0)
		return -1;
	if (r > 0 && (image_saves(job) || (job->q.flags & STORAGE_F_SNAP)))
		return job_fail(job, STORAGE_E_IN_USE, "%s is in use", n.dirty);
	if (!(job->q.flags & STORAGE_F_ADOPT)) {
		if (disk_remove_all(job->at.dir, n.import))
			return job_fail_errno(job, "%s", n.import);
		if (job->q.flags & STORAGE_F_SNAP) {
			r = start_snapshot(job, &n) || grow_dirty(job, &n);
		} else if (image_saves(job)) {
			r = start_origin(job, &n);
		} else {
			OWNED_FD int fd = image_new_file(job, &n, job->q.size);

			r = fd < 0 ? -1 : image_put(job, &n, n.dirty);
		}
		if (r)
			return -1;
	}
	return image_give(job, &n);
}

/* The present state as a revision, unless it is one already. ret_number: 0 if there is none. */
int image_make_revision(struct job *job, const struct names *n, uint64_t *ret_number)
{
	char name[NAME_MAX + 1];
	struct revisions r = {0};
	struct stat st;
	int result = -1;

	*ret_number = 0;
	if (fstatat(job->at.dir, n->clean, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : job_fail_errno(job, "%s", n->clean);
	if (revisions_read(&r, job->at.dir, n->clean)) {
		job_fail_errno(job, "the revisions of %s cannot be read", job->q.vid);
	} else if (r.n > 0 && r.list[r.n - 1].ino == st.st_ino) {
		*ret_number = r.list[r.n - 1].number;
		result = 0;
	} else if (revision_next_name(&r, n->clean, &st, name) ||
	           linkat(job->at.dir, n->clean, job->at.dir, name, 0)) {
		job_fail_errno(job, "%s cannot be kept as a revision", n->clean);
	} else {
		*ret_number = r.n > 0 ? r.list[r.n - 1].number + 1 : 1;
		result = 0;
	}
	revisions_free(&r);
	return result;
}

/* A synced file becomes the present state. */
int image_commit(struct job *job, const struct names *n, const char *file, bool crashed)
{
	OWNED_FD int fd = openat(job->at.dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint64_t before = 0, after = 0;

	if (fd < 0 || fsync(fd))
		return job_fail_errno(job, "%s", file);
	STEP();
	if ((job->q.keep > 0 || crashed) && image_make_revision(job, n, &before))
		return -1;
	if (crashed && before && revisions_hold(job->at.dir, n->clean, before, before + 1))
		return job_fail_errno(job, "the states around a crash cannot be kept");
	STEP();
	if (renameat(job->at.dir, file, job->at.dir, n->clean))
		return job_fail_errno(job, "%s cannot become %s", file, n->clean);
	STEP();
	if (disk_sync_folder(job->at.dir))
		return job_fail_errno(job, "the folder of %s cannot be synced", job->q.vid);
	if (crashed) {
		if (image_make_revision(job, n, &after))
			return -1;
		job_note(job,
		         "%s was in use when the machine stopped. What had reached the disk is its "
		         "present "
		         "state, kept as revision %llu; the state before that start is revision "
		         "%llu.",
		         job->q.vid, (unsigned long long)after, (unsigned long long)before);
	}
	STEP();
	if (revisions_prune(job, n->clean, keep_of(job)))
		return job_fail_errno(job, "old revisions of %s cannot be removed", job->q.vid);
	return 0;
}

/* A revision that is the present state itself was made for a change that a crash cut off. */
static int drop_double(struct job *job, const struct names *n)
{
	struct revisions r = {0};
	struct stat st;
	int result = 0;

	if (fstatat(job->at.dir, n->clean, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : job_fail_errno(job, "%s", n->clean);
	if (revisions_read(&r, job->at.dir, n->clean))
		result = -1;
	else if (r.n > 0 && r.list[r.n - 1].ino == st.st_ino && !r.list[r.n - 1].held)
		result = unlinkat(job->at.dir, r.list[r.n - 1].name, 0);
	revisions_free(&r);
	return result ? job_fail_errno(job, "the revisions of %s", job->q.vid) : 0;
}

/* What a commit that a crash cut off may have left: one revision too many, or one that is none. */
static int finish_commit(struct job *job, const struct names *n)
{
	if (drop_double(job, n))
		return -1;
	if (revisions_prune(job, n->clean, keep_of(job)))
		return job_fail_errno(job, "old revisions of %s cannot be removed", job->q.vid);
	return 0;
}

static int image_stop(struct job *job)
{
	struct names n;
	int r;

	if (image_names(job, &job->at, &n))
		return -1;
	if (job->at.dir < 0)
		return 0;
	if (image_take_back(job, &n))
		return -1;
	if (disk_remove_all(job->at.dir, n.temporary))
		return job_fail_errno(job, "%s", n.temporary);
	r = image_exists(job, n.dirty);
	if (r < 0)
		return -1;
	if (image_saves(job) && r > 0)
		return image_commit(job, &n, n.dirty,
		                    (job->q.flags & STORAGE_F_RECOVER) && !job->same_boot);
	if (image_saves(job))
		return finish_commit(job, &n);
	STEP();
	if (disk_discard(job->pool_fd, job->at.dir, n.dirty))
		return job_fail_errno(job, "%s", n.dirty);
	if ((job->q.flags & STORAGE_F_SNAP) && disk_remove_all(job->at.dir, n.clean))
		return job_fail_errno(job, "%s", n.clean);
	return 0;
}

static int nothing(struct job *job UNUSED)
{
	return 0;
}

const struct driver driver_image = {
        .setup = image_setup,
        .images = true,
        .open_data = image_open_clean,
        .run =
                {
                        [STORAGE_POOL_LIST] = image_list,
                        [STORAGE_CREATE] = image_create,
                        [STORAGE_REMOVE] = image_remove,
                        [STORAGE_VERIFY] = image_verify,
                        [STORAGE_START] = image_start,
                        [STORAGE_STOP] = image_stop,
                        [STORAGE_CLONE] = image_clone,
                        [STORAGE_RESIZE] = image_resize,
                        [STORAGE_INFO] = image_info,
                        [STORAGE_REVISIONS] = image_revisions,
                        [STORAGE_REVERT] = image_revert,
                        [STORAGE_CLEAR] = image_clear,
                        [STORAGE_IMPORT_BEGIN] = image_import_begin,
                        [STORAGE_IMPORT_END] = image_import_end,
                        [STORAGE_EXPORT] = image_export,
                        [STORAGE_EXPORT_END] = nothing,
                },
};
