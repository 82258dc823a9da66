/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The toolstack after its start: it speaks with the monitor, orders qubes from its maker, writes their
 * records, watches and signals their processes, and sets their control groups. It starts nothing itself
 * and makes no socket but pairs. It sees /proc, the records and the groups, and no other file.
 *
 * Landlock would keep it from telling its qubes' processes by /proc, so the empty root stands in its
 * place; its user namespace stays what it is, for it is where its rights over the qubes are.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

#define MEMORY_MAX (256ULL << 20) /* 512 qubes and what waits in the link; chosen */
#define CAP(n)     (1ULL << (n))

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"sendmsg", "the maker: an order and descriptors"},
        {"recvmsg", "who sent a qube's first byte"},
        {"recvfrom", "the maker; the monitor"},
        {"sendto", "the monitor; a qube's first process: it may go on"},
        {"shutdown", "the end of the link"},
        {"socketpair", "a qube's first process"},
        {"setsockopt", "SO_PASSCRED of that pair"},
        {"pipe2", "what bubblewrap says; the word to go on"},
        {"fcntl", "descriptors without waiting"},
        {"openat", "records, groups, /proc; the root holds nothing else"},
        {"open", "the same, other C libraries"},
        {"fstat", "folders of records"},
        {"newfstatat", "whose PID namespace a process is in"},
        {"statx", "the same, other C libraries"},
        {"getdents64", "/proc"},
        {"lseek", "/proc, other C libraries"},
        {"renameat", "records, at once whole"},
        {"rename", "the same, other C libraries"},
        {"mkdirat", "a qube's control group"},
        {"unlinkat", "records; a qube's control group"},
        {"pidfd_open", "qubes' processes"},
        {"pidfd_send_signal", "to these"},
        {"kill", "a child that cannot be watched"},
        {"waitid", "ends of bubblewrap and pasta"},
        {"wait4", "the same"},
        {"poll", "an end that it waits for"},
        {"ppoll", "the same, other C libraries"},
        {"nanosleep", "between two looks at a qube that is to stop"},
        {"clock_nanosleep", "the same, other C libraries"},
};

/* Where a folder that is open lies. */
static int path_of(int *fd, char path[PATH_MAX])
{
	char link[48];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", *fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n <= 0)
		return -1;
	path[n] = '\0';
	/* It would lead up and out of the new root. */
	*fd = fd_close(*fd);
	return 0;
}

static int open_again(const char *path)
{
	return path[0] ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

int local_confine(struct local *local)
{
	static char records[PATH_MAX];
	const struct confine_path paths[] = {
	        {.path = "/proc"},
	        {.path = records, .write = true},
	        {.path = local->groups, .write = true},
	};
	struct confine_rights rights = {
	        .name = "skerry-ground-local",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .same_users = true,
	        /* Qubes' processes are of other users: to signal them, to tell whose they are. */
	        .capabilities = CAP(CAP_KILL) | CAP(CAP_SYS_PTRACE),
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_NAMESPACES,
	};

	local->cgroups = fd_close(local->cgroups);
	if (path_of(&local->records, records)) {
		LOG_ERRNO("the toolstack's folders");
		return -1;
	}
	rights.n_paths = local->groups[0] ? 3 : 2;
	if (confine(&rights))
		return -1;
	local->records = open_again(records);
	local->cgroups = open_again(local->groups);
	if (local->records >= 0 && (local->cgroups >= 0 || !local->groups[0]))
		return 0;
	LOG_ERRNO("the toolstack's folders");
	return -1;
}
