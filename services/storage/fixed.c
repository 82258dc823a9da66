/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drivers whose volumes nobody changes: linux-kernel (a folder with vmlinuz and modules.img for each
 * version) and host (root volumes that are this machine's own /usr, for qubes that are namespaces).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/device.h"
#include "services/storage/disk.h"
#include "services/storage/job.h"

static int nothing(struct job *job UNUSED)
{
	return 0;
}

static int refuse(struct job *job)
{
	return job_fail(job, STORAGE_E_UNSUPPORTED, "volumes of pool %s are read-only",
	                job->pool->name);
}

/* Of the version's folder: descriptor or -1 after job_fail(). */
static int open_version(struct job *job)
{
	int fd = job->at.dir < 0 ? -1
	                         : openat(job->at.dir, job->at.base,
	                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		(void)job_fail(job, STORAGE_E_MISSING, "there is no kernel %s in %s", job->q.vid,
		               job->pool->dir);
	return fd;
}

static int kernel_verify(struct job *job)
{
	OWNED_FD int fd = open_version(job);

	if (fd < 0)
		return -1;
	if (disk_exists(fd, "vmlinuz", NULL) != 1)
		return job_fail(job, STORAGE_E_MISSING, "kernel %s in %s has no vmlinuz",
		                job->q.vid, job->pool->dir);
	return 0;
}

static int kernel_info(struct job *job)
{
	OWNED_FD int fd = open_version(job);
	struct stat st;

	if (fd < 0)
		return -1;
	/* Without modules there is no device for the qube. */
	if (disk_exists(fd, "modules.img", &st) == 1) {
		job->out.medium = STORAGE_MEDIUM_FILE;
		job->out.size = (uint64_t)st.st_size;
		job->out.usage = (uint64_t)st.st_blocks * 512;
	}
	job->out.flags |= STORAGE_F_KNOWN | STORAGE_F_READ_ONLY;
	return job_path(job, "/modules.img");
}

/* One device for all qubes. It stays when the last of them ends: the next is likely to want it. */
static int kernel_start(struct job *job)
{
	OWNED_FD int fd = -1, image = -1;

	if (kernel_info(job))
		return -1;
	if (job->devices == 0 || job->out.medium == STORAGE_MEDIUM_NONE)
		return 0;
	fd = open_version(job);
	if (fd < 0)
		return -1;
	image = openat(fd, "modules.img", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (image < 0)
		return job_fail_errno(job, "modules.img of kernel %s", job->q.vid);
	return device_attach(job, image, true);
}

static int list_version(void *arg, int dir, const char *name)
{
	OWNED_FD int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && name[0] != '.' && storage_vid_legal(name))
		job_part(arg, name);
	return 0;
}

static int kernel_list(struct job *job)
{
	return disk_each(job->pool_fd, list_version, job)
	               ? job_fail_errno(job, "%s", job->pool->dir)
	               : 0;
}

static int host_info(struct job *job)
{
	static const char usr[] = "/usr";

	job->out.medium = STORAGE_MEDIUM_HOST;
	job->out.size = job->q.size;
	job->out.flags |= STORAGE_F_KNOWN | STORAGE_F_READ_ONLY;
	memcpy(job->out.path, usr, sizeof(usr));
	return 0;
}

#define FIXED_REFUSALS                                                                             \
	[STORAGE_CLONE] = refuse, [STORAGE_RESIZE] = refuse, [STORAGE_REVERT] = refuse,            \
	[STORAGE_CLEAR] = refuse, [STORAGE_IMPORT_BEGIN] = refuse, [STORAGE_IMPORT_END] = refuse,  \
	[STORAGE_EXPORT] = refuse, [STORAGE_EXPORT_END] = nothing, [STORAGE_CREATE] = nothing,     \
	[STORAGE_REMOVE] = nothing, [STORAGE_STOP] = nothing, [STORAGE_REVISIONS] = nothing

const struct driver driver_kernel = {
        .setup = nothing,
        .run =
                {
                        FIXED_REFUSALS,
                        [STORAGE_POOL_LIST] = kernel_list,
                        [STORAGE_VERIFY] = kernel_verify,
                        [STORAGE_START] = kernel_start,
                        [STORAGE_INFO] = kernel_info,
                },
};

const struct driver driver_host = {
        .setup = nothing,
        .run =
                {
                        FIXED_REFUSALS,
                        [STORAGE_POOL_LIST] = nothing,
                        [STORAGE_VERIFY] = nothing,
                        [STORAGE_START] = host_info,
                        [STORAGE_INFO] = host_info,
                },
};
