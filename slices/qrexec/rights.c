/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper of qrexec after its start: it meets the qube, keeps the local sockets and their names,
 * speaks with policy, qubesd and other keepers, and signals what its starter made for it. It starts
 * nothing itself, reaches no network, and writes no file outside of the sockets' folder.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>

#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/vchan/meet_calls.h"
#include "lib/vchan/vchan.h"
#include "slices/qrexec/starts.h"

#define MEMORY_MAX (1ULL << 30) /* all clients and requests that the limits allow; chosen */
#define CAP(n)     (1ULL << (n))

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        VCHAN_CALLS_MEET,
        {"socketpair", "a slice, the runner, a policy program"},
        {"symlink", "names of the socket"},
        {"chmod", "who may use the socket"},
        {"pidfd_open", "ends of what was started"},
        {"kill", "slices and the runner"},
        {"wait4", "ends of what was started"},
        {"waitid", "the same, other C libraries"},
};

int keeper_confine(const struct keeper *k)
{
	static char channels[PATH_MAX];
	const struct confine_path paths[] = {
	        {.path = k->options->socket_dir, .write = true, .links = true},
	        {.path = channels},
	        {.path = "/dev/xen", .write = true, .devices = true},
	};
	const struct confine_rights rights = {
	        .name = "skerry-qrexec",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .signals = true,
	        /* Sockets of policy, of qubesd and of the broker are of other users. */
	        .capabilities = CAP(CAP_DAC_OVERRIDE),
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (vchan_folder(channels, sizeof(channels))) {
		LOG_ERRNO("the folder of channels");
		return -1;
	}
	return confine(&rights);
}
