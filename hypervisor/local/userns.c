/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ordinary user's toolstack lives in a user namespace of its own, in which it may mount the roots of
 * qubes and join their networks. A new toolstack joins the one in which the qubes that run were made:
 * the rights over them are its.
 */
#include "hypervisor/local/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

static int write_file(const char *path, const char *text)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text));
}

/* The namespace around that of a running qube; -1: there is none to join. */
static int open_shared(const struct local *local)
{
	char path[48];

	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		const struct local_qube *q = local->by_domid[domid];
		OWNED_FD int net = -1;
		OWNED_FD int own = -1;
		int parent;

		if (!q)
			continue;
		/* bubblewrap may put the qube's programs one deeper: what it made first owns the others. */
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)q->init.pid);
		net = open(path, O_RDONLY | O_CLOEXEC);
		own = net < 0 ? -1 : ioctl(net, NS_GET_USERNS);
		parent = own < 0 ? -1 : ioctl(own, NS_GET_PARENT);
		if (parent >= 0)
			return parent;
		LOG_ERRNO("%s: its network cannot be changed any more", q->name);
	}
	return -1;
}

static int make_own(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER)) {
		LOG_ERRNO("user namespaces cannot be made, which qubes consist of: see sysctl "
		          "kernel.unprivileged_userns_clone, user.max_user_namespaces and "
		          "kernel.apparmor_restrict_unprivileged_userns");
		return -1;
	}
	(void)snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
	if (write_file("/proc/self/setgroups", "deny") || write_file("/proc/self/uid_map", map))
		return -1;
	(void)snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	return write_file("/proc/self/gid_map", map);
}

int local_userns_enter(struct local *local)
{
	OWNED_FD int shared = -1;

	if (local->root)
		return 0;
	shared = open_shared(local);
	if (shared >= 0) {
		if (setns(shared, CLONE_NEWUSER) == 0)
			return 0;
		LOG_ERRNO("the namespace of the qubes that run");
	}
	if (make_own() == 0)
		return 0;
	LOG_ERRNO("a user namespace");
	return -1;
}
