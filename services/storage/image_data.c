/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image drivers: imports, copies, revisions, sizes, and what is told about a volume. See image.c.
 */
#include "services/storage/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/device.h"
#include "services/storage/disk.h"
#include "services/storage/revision.h"

/* Changes of the present state are refused while a qube works on a copy of it. */
static int refuse_in_use(struct job *job, const struct names *n)
{
	int r = image_exists(job, n->dirty);

	if (r > 0)
		return job_fail(job, STORAGE_E_IN_USE, "%s is in use, or was not stopped cleanly",
		                job->q.vid);
	if (r == 0 && !image_saves(job))
		return job_fail(job, STORAGE_E_UNSUPPORTED, "%s does not keep its data",
		                job->q.vid);
	return r;
}

int image_clone(struct job *job)
{
	OWNED_FD int from = -1;
	struct names n;

	if (image_names(job, &job->at, &n) || refuse_in_use(job, &n))
		return -1;
	from = job_driver(job->source_pool)->open_data(job, &job->from);
	if (from < 0 || image_copy_to(job, &n, from, n.import, true) ||
	    image_commit(job, &n, n.import, false))
		return -1;
	return image_info(job);
}

int image_clear(struct job *job)
{
	OWNED_FD int fd = -1;
	struct names n;

	if (image_names(job, &job->at, &n) || refuse_in_use(job, &n))
		return -1;
	fd = image_new_file(job, &n, job->q.size);
	if (fd < 0 || image_put(job, &n, n.import) || image_commit(job, &n, n.import, false))
		return -1;
	return image_info(job);
}

int image_import_begin(struct job *job)
{
	OWNED_FD int fd = -1;
	struct names n;

	if (image_names(job, &job->at, &n) || refuse_in_use(job, &n))
		return -1;
	fd = image_new_file(job, &n, job->q.size);
	if (fd < 0 || image_put(job, &n, n.import))
		return -1;
	job->out.size = job->q.size;
	job->out.medium = STORAGE_MEDIUM_FILE;
	return job_path(job, IMAGE_IMPORT);
}

int image_import_end(struct job *job)
{
	struct names n;
	int r;

	if (image_names(job, &job->at, &n))
		return -1;
	r = image_exists(job, n.import);
	if (r == 0)
		return job_fail(job, STORAGE_E_MISSING,
		                "no import into %s is open: it was ended, or the qube was started "
		                "meanwhile",
		                job->q.vid);
	if (r < 0)
		return -1;
	if (!(job->q.flags & STORAGE_F_OK)) {
		if (disk_discard(job->pool_fd, job->at.dir, n.import))
			return job_fail_errno(job, "%s", n.import);
		return 0;
	}
	if (refuse_in_use(job, &n) || image_commit(job, &n, n.import, false))
		return -1;
	return image_info(job);
}

int image_resize(struct job *job)
{
	OWNED_FD int fd = -1;
	struct names n;
	uint64_t size = job->q.size;
	int r;

	if (image_names(job, &job->at, &n))
		return -1;
	if (image_changes_apart(job))
		size = image_changes_size(size);
	r = image_exists(job, n.dirty);
	if (r < 0)
		return -1;
	if (r == 0 && !image_saves(job))
		return 0;
	if (r == 0 && image_unshare(job, &n))
		return -1;
	fd = openat(job->at.dir, r ? n.dirty : n.clean, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size) || fsync(fd))
		return job_fail_errno(job, "%s cannot be resized", job->q.vid);
	if (device_resize(job, fd))
		return -1;
	return image_info(job);
}

int image_revisions(struct job *job)
{
	struct revisions r = {0};
	struct stat st = {0};
	struct names n;
	char id[32];

	if (image_names(job, &job->at, &n))
		return -1;
	if (job->at.dir < 0 || !image_saves(job))
		return 0;
	if (revisions_read(&r, job->at.dir, n.clean) ||
	    disk_exists(job->at.dir, n.clean, &st) < 0) {
		revisions_free(&r);
		return job_fail_errno(job, "the revisions of %s cannot be read", job->q.vid);
	}
	for (size_t i = 0; i < r.n; i++) {
		/* Made by a image_commit that a crash cut off: it is the present state. */
		if (r.list[i].ino == st.st_ino && !r.list[i].held)
			continue;
		(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r.list[i].number);
		job_part(job, id);
	}
	revisions_free(&r);
	return 0;
}

int image_revert(struct job *job)
{
	char chosen[NAME_MAX + 1];
	const struct revision *found;
	struct revisions r = {0};
	struct stat st;
	uint64_t number;
	struct names n;

	if (image_names(job, &job->at, &n) || refuse_in_use(job, &n))
		return -1;
	if (revisions_read(&r, job->at.dir, n.clean)) {
		revisions_free(&r);
		return job_fail_errno(job, "the revisions of %s cannot be read", job->q.vid);
	}
	found = revision_find(&r, job->q.revision);
	if (found)
		memcpy(chosen, found->name, sizeof(chosen));
	if (found && disk_exists(job->at.dir, n.clean, &st) == 1 && st.st_ino == found->ino)
		number = 1; /* it is the present state already */
	else
		number = 0;
	revisions_free(&r);
	if (!found)
		return job_fail(job, STORAGE_E_NO_REVISION, "%s has no revision %s", job->q.vid,
		                job->q.revision);
	if (number == 1)
		return image_info(job);
	if (image_make_revision(job, &n, &number))
		return -1;
	STEP();
	if (renameat(job->at.dir, chosen, job->at.dir, n.clean))
		return job_fail_errno(job, "%s cannot become %s", chosen, n.clean);
	STEP();
	if (disk_sync_folder(job->at.dir))
		return job_fail_errno(job, "the folder of %s cannot be synced", job->q.vid);
	return image_info(job);
}

int image_export(struct job *job)
{
	OWNED_FD int fd = -1;
	struct stat st;

	if (!image_saves(job))
		return job_fail(job, STORAGE_E_UNSUPPORTED, "%s does not keep its data",
		                job->q.vid);
	fd = image_open_clean(job, &job->at);
	if (fd < 0 || fstat(fd, &st))
		return -1;
	job->out.size = (uint64_t)st.st_size;
	job->out.medium = STORAGE_MEDIUM_FILE;
	return job_path(job, IMAGE_CLEAN);
}

static int add_blocks(void *arg, int dir, const char *name)
{
	struct job *job = arg;
	struct stat st;

	if (image_belongs(job->at.base, name) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		job->out.usage += (uint64_t)st.st_blocks * 512;
	return 0;
}

static void see_outdated(struct job *job, const struct stat *link)
{
	char name[NAME_MAX + 1];
	struct stat now;

	if (job->from.dir >= 0 && disk_name(name, &job->from, IMAGE_CLEAN) == 0 &&
	    disk_exists(job->from.dir, name, &now) == 1 && now.st_ino != link->st_ino)
		job->out.flags |= STORAGE_F_OUTDATED;
}

int image_info(struct job *job)
{
	struct stat dirty = {0}, clean = {0};
	int has_dirty = 0, has_clean = 0;
	struct names n;

	if (image_names(job, &job->at, &n))
		return -1;
	job->out.size = job->q.size;
	job->out.medium = STORAGE_MEDIUM_FILE;
	job->out.flags |= STORAGE_F_KNOWN;
	if (job->at.dir >= 0) {
		has_dirty = disk_exists(job->at.dir, n.dirty, &dirty);
		has_clean = disk_exists(job->at.dir, n.clean, &clean);
		if (has_dirty < 0 || has_clean < 0 || disk_each(job->at.dir, add_blocks, job))
			return job_fail_errno(job, "%s", job->q.vid);
	}
	if (has_dirty) {
		job->out.flags |= STORAGE_F_DIRTY;
		job->out.size = (uint64_t)dirty.st_size;
	} else if (has_clean && image_saves(job)) {
		job->out.size = (uint64_t)clean.st_size;
	}
	if ((job->q.flags & STORAGE_F_SNAP) && has_clean)
		see_outdated(job, &clean);
	return job_path(job, image_in_place(job) ? IMAGE_CLEAN : IMAGE_DIRTY);
}

struct listing {
	struct job *job;
	char path[STORAGE_VID_LEN];
	size_t len;
	unsigned int depth;
};

static int list_entry(void *arg, int dir, const char *name)
{
	struct listing *l = arg;
	size_t len = strlen(name), kept = l->len;
	OWNED_FD int fd = -1;
	int r = 0;

	if (l->len + len + 2 > sizeof(l->path) || name[0] == '.')
		return 0;
	memcpy(l->path + l->len, name, len + 1);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && l->depth < 3) {
		l->path[l->len + len] = '/';
		l->len += len + 1;
		l->depth++;
		r = disk_each(fd, list_entry, l);
		l->depth--;
		l->len = kept;
	} else if (fd < 0 && len > 4 && strcmp(name + len - 4, IMAGE_CLEAN) == 0) {
		l->path[l->len + len - 4] = '\0';
		/* BASE-dirty.img and BASE-import.img are parts of BASE, whose own file is there. */
		if (!strstr(l->path + kept, "-dirty") && !strstr(l->path + kept, "-import") &&
		    storage_vid_legal(l->path))
			job_part(l->job, l->path);
	}
	return r;
}

int image_list(struct job *job)
{
	struct listing l = {.job = job};

	if (disk_each(job->pool_fd, list_entry, &l))
		return job_fail_errno(job, "%s", job->pool->dir);
	return 0;
}
