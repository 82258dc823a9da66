/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels, unpacked once. To unpack one is nearly all that a toolstack does for a start, seconds on a slow machine,
 * and always gives the same: it is kept in a folder of dom0, and read from there, under a name that says of which file
 * in which state it was made. Nothing depends on the folder: without it, or full, kernels are unpacked each time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "hypervisor/xen/domain_internal.h"
#include "hypervisor/xen/rights.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define KERNELS_MAX 4 /* kept at once; chosen */
#define ROOM_SHARE  3 /* of the free room at most, as a fraction; chosen */
#define TEMPORARY   ".new"

void xen_ground_keep_kernels(struct xen_ground *ground, const char *folder)
{
	ground->kernels = folder;
}

static int kept_path(const struct xen_ground *ground, const char *kernel,
                     char path[XEN_KERNEL_PATH])
{
	struct stat st;

	if (!ground->kernels || stat(kernel, &st))
		return -1;
	return snprintf(path, XEN_KERNEL_PATH, "%s/%llx-%llx-%llx-%llx-%lx", ground->kernels,
	                (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
	                (unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
	                (unsigned long)st.st_mtim.tv_nsec) < (int)XEN_KERNEL_PATH - 4
	               ? 0
	               : -1;
}

const char *xen_kernel_find(const struct xen_ground *ground, const char *kernel,
                            char path[XEN_KERNEL_PATH])
{
	return kept_path(ground, kernel, path) == 0 && access(path, R_OK) == 0 ? path : kernel;
}

/* Room for one more: the one that was made first goes. */
static void make_room(int folder)
{
	char oldest[NAME_MAX + 1] = "";
	struct timespec when = {0};
	struct dirent *entry;
	int copy = dup(folder), n = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] == '.' ||
		    fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		n++;
		if (*oldest &&
		    (st.st_mtim.tv_sec > when.tv_sec ||
		     (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec > when.tv_nsec)))
			continue;
		when = st.st_mtim;
		(void)snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
	else
		(void)fd_close(copy);
	if (n >= KERNELS_MAX && unlinkat(folder, oldest, 0))
		LOG_ERRNO("%s", oldest);
}

static int open_folder(const char *path)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder >= 0 || errno != ENOENT)
		return folder;
	xen_own_folder(path);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void xen_kernel_place(const struct xen_ground *ground, const char *kernel,
                      struct xen_kernel_copy *copy)
{
	OWNED_FD int folder = -1;
	struct statvfs room;

	copy->file = -1;
	copy->max = 0;
	if (kept_path(ground, kernel, copy->path))
		return;
	folder = open_folder(ground->kernels);
	if (folder < 0) {
		LOG_ERRNO("%s: kernels are unpacked for each start", ground->kernels);
		return;
	}
	make_room(folder);
	/* The room belongs to the user's data. */
	if (fstatvfs(folder, &room))
		return;
	copy->max = MIN((uint64_t)room.f_bavail * room.f_frsize / ROOM_SHARE,
	                (uint64_t)XEN_DOMAIN_KERNEL_MAX);
	(void)snprintf(copy->new, sizeof(copy->new), "%s" TEMPORARY, copy->path);
	copy->file = copy->max == 0
	                     ? -1
	                     : open(copy->new,
	                            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (copy->max > 0 && copy->file < 0)
		LOG_ERRNO("%s: kernels are unpacked for each start", copy->new);
}

void xen_kernel_close(struct xen_kernel_copy *copy, bool whole)
{
	if (copy->file < 0)
		return;
	if (whole && (fsync(copy->file) || rename(copy->new, copy->path))) {
		LOG_ERRNO("%s: kernels are unpacked for each start", copy->path);
		whole = false;
	}
	if (!whole)
		(void)unlink(copy->new);
	copy->file = fd_close(copy->file);
}
