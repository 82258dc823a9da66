/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each of the ground's processes keeps. Linux knows one right to hypercalls: whoever may make one may make all. So it
 * is with the toolstack and with the makers of qubes, which read nothing of a qube; the builder, which does, has none.
 */
#include "hypervisor/xen/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "process/user.h"

#define USER             "skerry-xen"
#define HYPERCALL        0x00305000ULL /* IOCTL_PRIVCMD_… of xen/sys/privcmd.h */
#define MMAP_BATCH       0x00205004ULL
#define MMAP_RESOURCE    0x00205007ULL
#define GROUP_OF_PROC    0 /* /proc is mounted so that only this group sees the processes of others */
#define TOOLSTACK_MEMORY (256ULL << 20) /* 512 domains and what waits in the link; chosen */
#define MAKER_MEMORY     (256ULL << 20) /* arguments of hypercalls; chosen */
#define BUILDER_MEMORY                                                                             \
	(6ULL                                                                                      \
	 << 30) /* images, packed and unpacked, and the parts of the domain that are filled; chosen */
#define CAP(n) (1ULL << (n))

#define IOCTL(number, why)                                                                         \
	{                                                                                          \
		"ioctl", why, 1,                                                                   \
		{                                                                                  \
			{                                                                          \
				.arg = 1, .mask = ~0ULL, .value = (number)                         \
			}                                                                          \
		}                                                                                  \
	}

/* What is kept may be had, and is in effect again; confine() drops what is not listed. */
static int raise_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &head, data) < 0 ? -1 : 0;
}

/* Root becomes another; the capabilities stay, for confine() to build an empty root with. */
static int become(uid_t uid, gid_t gid)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && user_become(uid, gid) == 0 &&
	    raise_capabilities() == 0)
		return 0;
	LOG_ERRNO("becoming user %u", uid);
	return -1;
}

/* The user that image/dom0.passwd has; without it root, which is told. */
static int become_toolstack(void)
{
	uid_t uid;
	gid_t gid;

	if (user_find(USER, &uid, &gid) == 0)
		return become(uid, GROUP_OF_PROC);
	LOG("there is no user " USER ": running as root, confined");
	return 0;
}

void xen_own_folder(const char *path)
{
	uid_t uid;
	gid_t gid;

	if (mkdir(path, 0700) && errno != EEXIST)
		return;
	if (geteuid() == 0 && user_find(USER, &uid, &gid) == 0 && chown(path, uid, gid))
		LOG_ERRNO("%s", path);
}

/* The toolstack. */

static const struct confine_call toolstack_calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        IOCTL(HYPERCALL, "the hypervisor"),
        {"poll", "xenstore's answer"},
        {"ppoll", "the same, other C libraries"},
        {"sendmsg", "the starter: an order and descriptors"},
        {"recvfrom", "the starter; the monitor"},
        {"sendto", "the monitor"},
        {"shutdown", "the end of the link"},
        {"pipe2", "what a maker says"},
        {"openat", "/proc and the kernel's list of back ends; Landlock judges"},
        {"open", "the same, other C libraries"},
        {"newfstatat", "that list"},
        {"fstat", "the same, other C libraries"},
        {"fcntl", "that list"},
        {"getdents64", "that list"},
        {"lseek", "that list, other C libraries"},
        {"pidfd_open", "makers, readers of consoles"},
        {"pidfd_send_signal", "to these"},
        {"waitid", "their ends"},
        {"wait4", "the end of one that cannot be watched"},
        {"kill", "the same"},
};

int xen_toolstack_confine(void)
{
	static const struct confine_path paths[] = {
	        {.path = "/proc"},
	        {.path = "/sys/bus/xen-backend/devices"},
	};
	bool root = geteuid() == 0;
	const struct confine_rights rights = {
	        .name = "skerry-ground-xen",
	        .calls = toolstack_calls,
	        .n_calls = ARRAY_LEN(toolstack_calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .signals = true,
	        .same_users = root,
	        .capabilities = CAP(CAP_KILL), /* makers and readers are of other users */
	        .memory_max = TOOLSTACK_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	return (root && become_toolstack()) || confine(&rights) ? -1 : 0;
}

int xen_starter_confine(void)
{
	static const struct confine_rights rights = {
	        .name = "skerry-ground-xen starter",
	        /* What its children need to become others and to build their empty roots. */
	        .capabilities = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SYS_ADMIN) |
	                        CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE),
	        .for_programs = true, /* the builder */
	        .required = CONFINE_NO_NEW_PRIVS,
	};

	return confine(&rights);
}

/* A maker of a qube. */

static const struct confine_call maker_calls[] = {
        CONFINE_CALLS_BASE,
        IOCTL(HYPERCALL, "the hypervisor"),
        {"recvfrom", "what the builder asks for"},
        {"sendto", "what it is answered"},
        {"poll", "xenstore's answer"},
        {"ppoll", "the same, other C libraries"},
        {"wait4", "the end of the builder"},
        {"nanosleep", "that end is waited for a moment"},
        {"clock_nanosleep", "the same, other C libraries"},
        {"fsync", "an unpacked kernel, whole"},
        {"rename", "the same"},
        {"renameat", "the same, other C libraries"},
        {"unlink", "one that is not whole"},
        {"unlinkat", "the same, other C libraries"},
};

int xen_maker_confine(const char *folder)
{
	const struct confine_path path = {.path = folder, .write = true};
	bool root = geteuid() == 0;
	const struct confine_rights rights = {
	        .name = "skerry-ground-xen maker",
	        .calls = maker_calls,
	        .n_calls = ARRAY_LEN(maker_calls),
	        .paths = &path,
	        .n_paths = folder ? 1 : 0,
	        .same_users = root,
	        .memory_max = MAKER_MEMORY,
	        .files_max = 64,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	/* A changed user clears what is to end it with the toolstack. */
	return (root && become_toolstack()) || prctl(PR_SET_PDEATHSIG, SIGKILL) || confine(&rights)
	               ? -1
	               : 0;
}

/* A builder. */

static const struct confine_call builder_calls[] = {
        CONFINE_CALLS_BASE,
        IOCTL(MMAP_BATCH, "pages of its one domain"),
        IOCTL(MMAP_RESOURCE, "the grant table of its one domain"),
        {"recvfrom", "the maker's answers"},
        {"sendto", "questions to the maker"},
};

int xen_builder_confine(uint32_t user)
{
	bool root = geteuid() == 0;
	const struct confine_rights rights = {
	        .name = "skerry-xen-builder",
	        .calls = builder_calls,
	        .n_calls = ARRAY_LEN(builder_calls),
	        .same_users = root,
	        .memory_max = BUILDER_MEMORY,
	        .files_max = 64,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	return (root && become(user, user)) || prctl(PR_SET_PDEATHSIG, SIGKILL) || confine(&rights)
	               ? -1
	               : 0;
}
