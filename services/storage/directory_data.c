/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver directory: imports, copies, revisions, and what is told about a volume. See directory.h.
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
#include "services/storage/tar_tree.h"
#include "services/storage/tree.h"

#define EXPORT_PIN "~export" /* no volume's identifier */
#define SKELETON   "/etc/skel"

/* The present state must be nobody's work at the moment. */
static int open_idle(struct job *job)
{
	OWNED_FD int vol = -1;

	if (!(job->q.flags & STORAGE_F_SAVE))
		return job_fail(job, STORAGE_E_UNSUPPORTED, "%s does not keep its data",
		                job->q.vid);
	vol = dir_open(job, &job->at, false);
	if (vol < 0)
		return -1;
	if (job->running || dir_state(vol, DIR_DIRTY))
		return job_fail(job, STORAGE_E_IN_USE, "%s is in use, or was not stopped cleanly",
		                job->q.vid);
	if (dir_tidy(job, vol))
		return -1;
	return fd_take(&vol);
}

/* The finished temporary tree becomes the present state. */
static int replace(struct job *job, int vol)
{
	if (dir_name_new(job, vol, DIR_NEXT, NULL) || dir_commit(job, vol, DIR_NEXT))
		return -1;
	return dir_info(job);
}

int dir_clone(struct job *job)
{
	const struct driver *source = job_driver(job->source_pool);
	OWNED_FD int vol = open_idle(job);
	OWNED_FD int from = -1;
	OWNED_FD int tree = -1;

	if (vol < 0)
		return -1;
	if (source->images || !source->open_data)
		return job_fail(
		        job, STORAGE_E_UNSUPPORTED,
		        "%s is an image and %s a directory tree: copy the files in the qubes",
		        job->q.source, job->q.vid);
	from = source->open_data(job, &job->from);
	tree = from < 0 ? -1 : dir_new(job, vol);
	if (tree < 0)
		return -1;
	STEP();
	if (tree_copy(job, from, tree, job->q.owner))
		return job_fail_errno(job, "%s cannot be copied", job->q.source);
	return replace(job, vol);
}

int dir_clear(struct job *job)
{
	OWNED_FD int vol = open_idle(job);
	OWNED_FD int tree = vol < 0 ? -1 : dir_new(job, vol);

	return tree < 0 || dir_fill(job, tree) ? -1 : replace(job, vol);
}

int dir_import_begin(struct job *job)
{
	OWNED_FD int vol = open_idle(job);
	OWNED_FD int fd = -1;

	if (vol < 0)
		return -1;
	if (disk_discard(job->pool_fd, vol, DIR_IMPORT))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_IMPORT);
	fd = openat(vol, DIR_IMPORT, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)job->q.size))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_IMPORT);
	job->out.size = job->q.size;
	job->out.medium = STORAGE_MEDIUM_FILE;
	return job_path(job, "/" DIR_IMPORT);
}

static void unpack_progress(void *arg, uint64_t bytes)
{
	job_progress(arg, bytes, 0);
}

static int unpack(struct job *job, int vol)
{
	OWNED_FD int in = openat(vol, DIR_IMPORT, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	OWNED_FD int tree = in < 0 ? -1 : dir_new(job, vol);
	struct tar_fault fault;

	if (in < 0)
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_IMPORT);
	if (tree < 0)
		return -1;
	if (tar_unpack(in, tree, job->q.owner, &fault, unpack_progress, job)) {
		(void)job_fail(job, STORAGE_E_BAD_DATA, "the archive for %.60s is refused: %s",
		               job->q.vid, fault.text);
		if (disk_discard(job->pool_fd, vol, DIR_NEW))
			job_note(job, "what was unpacked for %s cannot be removed", job->q.vid);
		return -1;
	}
	return 0;
}

int dir_import_end(struct job *job)
{
	OWNED_FD int vol = open_idle(job);
	int r;

	if (vol < 0)
		return -1;
	r = disk_exists(vol, DIR_IMPORT, NULL);
	if (r == 0)
		return job_fail(job, STORAGE_E_MISSING,
		                "no import into %s is open: it was ended, or the qube was started "
		                "meanwhile",
		                job->q.vid);
	r = job->q.flags & STORAGE_F_OK ? unpack(job, vol) : 0;
	STEP();
	if (disk_discard(job->pool_fd, vol, DIR_IMPORT))
		return job_fail_errno(job, "%s: %s", job->q.vid, DIR_IMPORT);
	if (r || !(job->q.flags & STORAGE_F_OK))
		return r;
	return replace(job, vol);
}

int dir_revert(struct job *job)
{
	OWNED_FD int vol = open_idle(job);
	char *end;
	uint64_t number = strtoull(job->q.revision, &end, 10);
	char name[24];

	if (vol < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%" PRIu64, number);
	if (*end != '\0' || strcmp(name, job->q.revision) != 0 || number == 0 ||
	    disk_exists(vol, name, NULL) != 1)
		return job_fail(job, STORAGE_E_NO_REVISION, "%s has no revision %s", job->q.vid,
		                job->q.revision);
	/* The present state stays as a revision, by its own number. */
	STEP();
	if (disk_put_link(vol, DIR_CURRENT, name, true))
		return job_fail_errno(job, "%s", job->q.vid);
	return dir_info(job);
}

int dir_revisions(struct job *job)
{
	OWNED_FD int vol = -1;
	uint64_t *list, named[3];
	ssize_t n;
	char id[24];

	if (job->at.dir < 0 || !(job->q.flags & STORAGE_F_SAVE))
		return 0;
	vol = dir_open(job, &job->at, false);
	if (vol < 0)
		return -1;
	named[0] = dir_state(vol, DIR_CURRENT);
	named[1] = dir_state(vol, DIR_DIRTY);
	named[2] = dir_state(vol, DIR_NEXT);
	n = dir_states(vol, &list);
	for (ssize_t i = 0; i < n; i++) {
		if (list[i] == named[0] || list[i] == named[1] || list[i] == named[2])
			continue;
		(void)snprintf(id, sizeof(id), "%" PRIu64, list[i]);
		job_part(job, id);
	}
	free(list);
	return n < 0 ? job_fail_errno(job, "%s", job->q.vid) : 0;
}

int dir_export(struct job *job)
{
	OWNED_FD int vol = dir_open(job, &job->at, false);
	OWNED_FD int data = vol < 0 ? -1 : job_driver(job->pool)->open_data(job, &job->at);
	OWNED_FD int pins = -1;
	char text[24], suffix[32];

	if (data < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%" PRIu64, dir_state(vol, DIR_CURRENT));
	(void)snprintf(suffix, sizeof(suffix), "/%s", text);
	if (mkdirat(vol, DIR_PINS, 0700) && errno != EEXIST)
		return job_fail_errno(job, "the hold of %s", job->q.vid);
	pins = openat(vol, DIR_PINS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pins < 0 || disk_put_link(pins, EXPORT_PIN, text, true))
		return job_fail_errno(job, "the hold of %s", job->q.vid);
	job->out.medium = STORAGE_MEDIUM_DIR;
	return job_path(job, suffix);
}

int dir_export_end(struct job *job)
{
	OWNED_FD int vol = dir_open(job, &job->at, false);
	OWNED_FD int pins = -1;

	if (vol < 0)
		return -1;
	pins = openat(vol, DIR_PINS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pins >= 0 && unlinkat(pins, EXPORT_PIN, 0) && errno != ENOENT)
		return job_fail_errno(job, "the hold of %s", job->q.vid);
	return dir_prune(job, vol, MAX(job->q.keep, 0));
}

/* Where the data of a running or stopped volume is, and whether it may be written to. */
static int tell_path(struct job *job, int vol)
{
	uint64_t state = dir_state(vol, DIR_DIRTY), source = dir_state(vol, DIR_SOURCE);
	char suffix[32];

	if (state == 0 && (job->q.flags & STORAGE_F_SAVE))
		state = dir_state(vol, DIR_CURRENT);
	if (state) {
		(void)snprintf(suffix, sizeof(suffix), "/%" PRIu64, state);
		return job_path(job, suffix);
	}
	if (source && (job->q.flags & STORAGE_F_SNAP)) {
		job->out.flags |= STORAGE_F_READ_ONLY;
		(void)snprintf(suffix, sizeof(suffix), "/%" PRIu64, source);
		return job_path_of(job, job->source_pool, job->q.source, suffix);
	}
	return job_path(job, "");
}

static void tell_outdated(struct job *job, int vol)
{
	uint64_t used = dir_state(vol, DIR_SOURCE);
	OWNED_FD int source = -1;

	if (used == 0 || job->from.dir < 0)
		return;
	source = openat(job->from.dir, job->from.base,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (source >= 0 && dir_state(source, DIR_CURRENT) != used)
		job->out.flags |= STORAGE_F_OUTDATED;
}

static uint64_t read_usage(int vol)
{
	char text[32];

	return disk_read_link(vol, DIR_USAGE, text, sizeof(text)) ? 0 : strtoull(text, NULL, 10);
}

int dir_info(struct job *job)
{
	OWNED_FD int vol = -1;

	job->out.size = job->q.size;
	job->out.medium = STORAGE_MEDIUM_DIR;
	job->out.flags |= STORAGE_F_KNOWN;
	if (job->at.dir >= 0)
		vol = openat(job->at.dir, job->at.base,
		             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (vol < 0)
		return job_path(job, "");
	job->out.usage = MIN(read_usage(vol), STORAGE_SIZE_MAX);
	if (dir_state(vol, DIR_DIRTY) || (job->running && dir_in_place(job)))
		job->out.flags |= STORAGE_F_DIRTY;
	if (job->q.flags & STORAGE_F_SNAP)
		tell_outdated(job, vol);
	return tell_path(job, vol);
}

int dir_measure(struct job *job)
{
	OWNED_FD int vol = dir_open(job, &job->at, false);
	uint64_t bytes;
	char text[32];

	if (vol < 0)
		return -1;
	if (tree_usage(vol, &bytes))
		return job_fail_errno(job, "%s cannot be measured", job->q.vid);
	(void)snprintf(text, sizeof(text), "%" PRIu64, bytes);
	return disk_put_link(vol, DIR_USAGE, text, false) ? job_fail_errno(job, "%s", job->q.vid)
	                                                  : 0;
}

static int make_folder(const struct job *job, int dir, const char *name)
{
	bool give = job->q.owner && geteuid() == 0;
	OWNED_FD int fd = -1;

	if (mkdirat(dir, name, 0755))
		return -1;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) || (give && fchown(fd, job->q.owner, job->q.owner)))
		return -1;
	return fd_take(&fd);
}

/* home/user as a new user's home, and the folders that a qube's system looks for in /rw. */
int dir_fill(struct job *job, int tree)
{
	static const char *const folders[] = {"config", "usrlocal", "bind-dirs"};
	OWNED_FD int home = -1;
	OWNED_FD int user = -1;
	OWNED_FD int skeleton = -1;

	if (strcmp(job->at.base, "private") != 0)
		return 0;
	home = make_folder(job, tree, "home");
	user = home < 0 ? -1 : make_folder(job, home, "user");
	if (user < 0)
		return job_fail_errno(job, "home/user of %s", job->q.vid);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		OWNED_FD int fd = make_folder(job, tree, folders[i]);

		if (fd < 0)
			return job_fail_errno(job, "%s of %s", folders[i], job->q.vid);
	}
	skeleton = open(SKELETON, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (skeleton >= 0 && tree_copy(job, skeleton, user, job->q.owner))
		return job_fail_errno(job, "%s cannot be copied to %s", SKELETON, job->q.vid);
	return fchmod(user, 0700) ? job_fail_errno(job, "home/user of %s", job->q.vid) : 0;
}
