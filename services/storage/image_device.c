/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Image drivers: the block device that a qube gets of a volume, where its ground takes devices. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/storage/device.h"
#include "services/storage/disk.h"
#include "services/storage/image.h"

#define CHANGES_UNIT 65536U /* of a file of changes; a multiple of what a snapshot keeps together */

/* Where blocks cannot be shared a copy would take long: the kernel keeps what the qube changes apart. */
bool image_changes_apart(const struct job *job)
{
	return (job->q.flags & STORAGE_F_SNAP) && !image_saves(job) && job->devices > 0 &&
	       disk_reflinks(job->at.dir) == 0;
}

uint64_t image_changes_size(uint64_t size)
{
	return (size + CHANGES_UNIT - 1) / CHANGES_UNIT * CHANGES_UNIT;
}

/* Bytes of the device: a snapshot may be smaller than the volume is said to be. */
static int snapshot_size(const struct job *job, int origin, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(origin, &st))
		return -1;
	*ret_size = MAX((uint64_t)st.st_size, job->q.size);
	return 0;
}

int image_make_changes(struct job *job, const struct names *n, int origin)
{
	OWNED_FD int fd = -1;
	uint64_t size;

	if (snapshot_size(job, origin, &size))
		return job_fail_errno(job, "%s", n->clean);
	fd = image_new_file(job, n, image_changes_size(size));
	return fd < 0 ? -1 : image_put(job, n, n->dirty);
}

static int make_device(struct job *job, int file)
{
	OWNED_FD int origin = -1;
	uint64_t size;

	if (job->q.flags & STORAGE_F_ADOPT)
		return device_find(job, file);
	if (job->q.flags & STORAGE_F_EPHEMERAL)
		return device_crypt(job, file);
	if (!image_changes_apart(job))
		return device_attach(job, file, !(job->q.flags & STORAGE_F_RW));
	origin = image_open_clean(job, &job->at);
	if (origin < 0)
		return -1;
	if (snapshot_size(job, origin, &size))
		return job_fail_errno(job, "%s", job->q.vid);
	return device_snapshot(job, origin, file, size);
}

/* What the qube gets is the file, or a device over it. */
int image_give(struct job *job, const struct names *n)
{
	const char *name = image_in_place(job) ? n->clean : n->dirty;
	OWNED_FD int fd = -1;

	if (image_info(job))
		return -1;
	if (job->devices == 0)
		return 0;
	fd = openat(job->at.dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return job_fail_errno(job, "%s", name);
	if (make_device(job, fd) == 0)
		return job->out.medium == STORAGE_MEDIUM_BLOCK
		               ? 0
		               : job_fail(job, STORAGE_E_MISSING, "the device of %s is gone",
		                          job->q.vid);
	/* Nobody has seen it: as if it had not been asked for. */
	if (!(job->q.flags & STORAGE_F_ADOPT) && !image_in_place(job) &&
	    disk_discard(job->pool_fd, job->at.dir, n->dirty))
		LOG_ERRNO("%s", n->dirty);
	return -1;
}

int image_take_back(struct job *job, const struct names *n)
{
	const char *name = image_in_place(job) ? n->clean : n->dirty;
	OWNED_FD int fd = -1;

	if (job->devices == 0)
		return 0;
	fd = openat(job->at.dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : job_fail_errno(job, "%s", name);
	return device_detach(job, fd);
}
