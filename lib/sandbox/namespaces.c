/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Own user, mount, network, IPC and UTS namespaces. The root becomes an empty read-only tmpfs that
 * holds the listed paths and nothing else; the network has not even a loopback that is up. No PID
 * namespace: it would begin with the next child, and confined processes have none.
 */
#include "lib/sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define NEW_SPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* Every Linux system has this folder, and nobody needs what it holds while the root is built. */
#define BUILD_AT "/proc"

static int write_file(const char *path, const char *text)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0)
		return 0;
	LOG_ERRNO("%s", path);
	return -1;
}

/* The process keeps its user and group; no other exists in the namespace. */
static int map_self(uid_t uid, gid_t gid)
{
	char uid_map[64];
	char gid_map[64];

	(void)snprintf(uid_map, sizeof(uid_map), "%u %u 1\n", uid, uid);
	(void)snprintf(gid_map, sizeof(gid_map), "%u %u 1\n", gid, gid);
	if (write_file("/proc/self/setgroups", "deny") ||
	    write_file("/proc/self/uid_map", uid_map) || write_file("/proc/self/gid_map", gid_map))
		return -1;
	return 0;
}

static int new_spaces(const struct confine_rights *rights)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!rights->same_users && unshare(CLONE_NEWUSER | NEW_SPACES) == 0)
		return map_self(uid, gid);
	/* Root where user namespaces are switched off. */
	if (unshare(NEW_SPACES) == 0)
		return 0;
	LOG_ERRNO("unshare");
	return -1;
}

/* The folders that lead to @path below the new root, which is the current folder. */
static int make_place(const char *path, bool folder)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	OWNED_FD int fd = -1;

	if (len < 2 || len >= sizeof(part) || path[0] != '/') {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path + 1, i - 1);
		part[i - 1] = '\0';
		if (path[i] == '\0' && !folder)
			break;
		if (mkdir(part, 0555) < 0 && errno != EEXIST)
			return -1;
	}
	if (folder)
		return 0;
	fd = open(path + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	return fd < 0 ? -1 : 0;
}

static int hold_path(const struct confine_path *p)
{
	struct mount_attr attr = {
	        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
	                    (p->write || p->create ? 0 : MOUNT_ATTR_RDONLY),
	};
	OWNED_FD int tree =
	        open_tree(AT_FDCWD, p->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		return -1;
	return fd_take(&tree);
}

/* Copies of the listed mounts, attached nowhere yet: -1 for a path that does not exist. */
static int hold_paths(const struct confine_rights *rights, int trees[CONFINE_PATHS_MAX])
{
	for (size_t i = 0; i < rights->n_paths; i++) {
		trees[i] = hold_path(&rights->paths[i]);
		if (trees[i] < 0 && errno != ENOENT) {
			LOG_ERRNO("%s", rights->paths[i].path);
			return -1;
		}
	}
	return 0;
}

static int place_path(int tree, const struct confine_path *p)
{
	struct stat st;

	if (fstat(tree, &st) < 0 || make_place(p->path, S_ISDIR(st.st_mode)))
		return -1;
	return move_mount(tree, "", AT_FDCWD, p->path + 1, MOVE_MOUNT_F_EMPTY_PATH);
}

static int fill_root(const struct confine_rights *rights, const int trees[CONFINE_PATHS_MAX])
{
	for (size_t i = 0; i < rights->n_paths; i++) {
		if (trees[i] >= 0 && place_path(trees[i], &rights->paths[i])) {
			LOG_ERRNO("%s in the new root", rights->paths[i].path);
			return -1;
		}
	}
	return 0;
}

/* The new root covers the old one at "/", which is then detached: nothing leads back to it. */
static int enter_root(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/") ||
	    mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr))) {
		LOG_ERRNO("an empty root");
		return -1;
	}
	return 0;
}

static int new_root(const struct confine_rights *rights, const int trees[CONFINE_PATHS_MAX])
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	/* No mount of ours reaches the others, none of theirs reaches us. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("skerry", BUILD_AT, "tmpfs", flags, "size=64k,nr_inodes=256,mode=0555") < 0 ||
	    chdir(BUILD_AT) < 0) {
		LOG_ERRNO("mount");
		return -1;
	}
	if (fill_root(rights, trees))
		return -1;
	return enter_root();
}

int sandbox_namespaces(const struct confine_rights *rights)
{
	int trees[CONFINE_PATHS_MAX];
	int r;

	CHECK(rights->n_paths <= ARRAY_LEN(trees));
	for (size_t i = 0; i < ARRAY_LEN(trees); i++)
		trees[i] = -1;
	r = new_spaces(rights);
	if (r == 0)
		r = hold_paths(rights, trees);
	if (r == 0)
		r = new_root(rights, trees);
	for (size_t i = 0; i < ARRAY_LEN(trees); i++)
		(void)fd_close(trees[i]);
	return r;
}
