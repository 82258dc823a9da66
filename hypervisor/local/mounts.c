/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See mounts.h. Source: mount_setattr(2), open_tree(2), the kernel's overlayfs document. */
#include "hypervisor/local/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fd.h"

int mounts_private(void)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -1 : 0;
}

/* Colons part layers, commas part options. */
static size_t add_layer(char *text, size_t len, size_t max, const char *path)
{
	for (; *path; path++) {
		if (len + 3 > max)
			return max;
		if (strchr("\\:,", *path))
			text[len++] = '\\';
		text[len++] = *path;
	}
	text[len] = '\0';
	return len;
}

int mounts_overlay(const char *const *layers, size_t n_layers, const char *at)
{
	static const char option[] = "lowerdir=";
	char text[4096]; /* the kernel takes no longer one */
	size_t len = sizeof(option) - 1;

	memcpy(text, option, sizeof(option));
	for (size_t i = 0; i < n_layers; i++) {
		if (i > 0)
			text[len++] = ':';
		len = add_layer(text, len, sizeof(text) - 1, layers[i]);
		if (len >= sizeof(text) - 2) {
			errno = ENAMETOOLONG;
			return -1;
		}
	}
	return mount("skerry", at, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, text);
}

int mounts_bind(int from_fd, const char *to, bool read_only)
{
	struct mount_attr attr = {
	        .attr_set =
	                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0),
	};
	OWNED_FD int tree =
	        open_tree(from_fd, "",
	                  AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		return -1;
	return move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH);
}

int mounts_read_only(const char *at)
{
	return mount(NULL, at, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

static int open_folder(int dir, const char *name)
{
	struct open_how how = {
	        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

int mounts_open_below(int dir, const char *name, uid_t owner)
{
	OWNED_FD int fd = open_folder(dir, name);
	bool made = false;

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(dir, name, 0755) && errno != EEXIST)
			return -1;
		fd = open_folder(dir, name);
		made = true;
	}
	if (fd < 0 || (made && owner != (uid_t)-1 && fchown(fd, owner, owner)))
		return -1;
	return fd_take(&fd);
}
