/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper of a QubesDB once its slice runs: it makes one channel after the other, hands each on, and
 * removes its sockets at the end. It starts nothing, opens no file but those of a channel, and makes no
 * sockets but Unix ones.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/vchan/meet_calls.h"
#include "lib/vchan/vchan.h"
#include "slices/qubesdb/keeper.h"

#define MEMORY_MAX (64U << 20) /* two rings of a channel, and none of what goes over it; chosen */
#define FILES_MAX  64U         /* sockets, slice, loop, and a channel that is being made; chosen */
#define CAP(n)     (1ULL << (n))

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        VCHAN_CALLS_MEET,
        {"kill", "the slice, at the end"},
        {"wait4", "the end of the slice"},
        {"waitid", "the same, other C libraries"},
};

int keeper_confine(const struct keeper_options *options)
{
	static char sockets[PATH_MAX], channels[PATH_MAX];
	static const struct confine_path paths[] = {
	        {.path = sockets, .write = true},
	        {.path = channels, .write = true},
	        {.path = "/dev/xen", .write = true, .devices = true},
	};
	const struct confine_rights rights = {
	        .name = "skerry-qubesdb",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .signals = true,
	        /* The broker's sockets may be of another user. */
	        .capabilities = CAP(CAP_DAC_OVERRIDE),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (path_make(sockets, sizeof(sockets), "/var/run/qubes", NULL) ||
	    vchan_folder(channels, sizeof(channels))) {
		LOG_ERRNO("the folders of %s", options->name);
		return -1;
	}
	return confine(&rights);
}
