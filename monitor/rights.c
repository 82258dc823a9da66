/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor after its start: it speaks with its processes, writes their records and opens their logs,
 * and signals them. It starts nothing itself (processes.h), makes no socket but pairs, and reaches no
 * network. As root it keeps what those of its processes need that run as other users.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stddef.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "monitor/monitor.h"

#define MEMORY_MAX (1ULL << 30) /* qubes, and what waits in the links to 30,000 of them; chosen */

#define CAP(n)     (1ULL << (n))

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"sendmsg", "the starter: a request and descriptors"},
        {"recvfrom", "the starter; messages of its processes"},
        {"sendto", "messages to its processes"},
        {"shutdown", "the end of a link"},
        {"socketpair", "links to its processes"},
        {"pipe2", "readiness; the word to go on"},
        {"fcntl", "descriptors without waiting"},
        {"memfd_create", "the input of a call"},
        {"lseek", "the input of a call"},
        {"openat", "records, logs, /proc; Landlock judges"},
        {"open", "the same, other C libraries"},
        {"newfstatat", "folders of records"},
        {"fstat", "the same, other C libraries"},
        {"statx", "the same, other C libraries"},
        {"getdents64", "folders of records"},
        {"renameat", "records, at once whole"},
        {"rename", "the same, other C libraries"},
        {"fsync", "records"},
        {"unlinkat", "records"},
        {"access", "where programs are"},
        {"faccessat", "the same, other C libraries"},
        {"faccessat2", "the same, other C libraries"},
        {"readlink", "where programs are: /proc/self/exe"},
        {"readlinkat", "the same, other C libraries"},
        {"geteuid", "whether it is root"},
        {"pidfd_open", "processes that it started or adopts"},
        {"pidfd_send_signal", "to these"},
        {"waitid", "their ends"},
        {"wait4", "their ends"},
        {"poll", "an end that it waits for"},
        {"ppoll", "the same, other C libraries"},
};

int monitor_confine(void)
{
	static char run[PATH_MAX], logs[PATH_MAX];
	static const struct confine_path paths[] = {
	        {.path = run, .write = true},
	        {.path = logs, .write = true},
	        {.path = "/proc"},
	};
	const struct confine_rights rights = {
	        .name = "skerryd",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .signals = true,
	        .capabilities = CAP(CAP_KILL), /* its processes are of several users */
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (path_make(run, sizeof(run), "/run/skerry", NULL) ||
	    path_make(logs, sizeof(logs), "/var/log/qubes", NULL)) {
		LOG_ERRNO("the monitor's folders");
		return -1;
	}
	return confine(&rights);
}
