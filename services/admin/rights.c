/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-admin after its start: it accepts connections on three sockets, connects to those of policy
 * and of the running qubes' QubesDB in a folder that it holds open, and speaks on the pairs that it was
 * given. It opens no file, starts no program, and has no network.
 */
#include "services/admin/rights.h"

#include <sys/socket.h>

#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

#define FILES_MAX  8192U        /* connections of clients and one QubesDB for each running qube */
#define MEMORY_MAX (4ULL << 30) /* all that it keeps of all qubes; far above any real set; chosen */

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"accept4", "clients of the three sockets"},
        {"recvfrom", "requests; store, monitor, storage, policy, QubesDB"},
        {"sendto", "answers; store, monitor, storage, policy, QubesDB"},
        {"recvmsg", "descriptors of the storage service"},
        {"sendmsg", "descriptors to the storage service and to a backup"},
        {"memfd_create", "the store as a backup holds it"},
        {"socket",
         "QubesDB of a qube that starts, the policy service, the backup service",
         1,
         {{.arg = 0, .mask = ~0ULL, .value = AF_UNIX}}},
        {"connect", "the same: through the folder that is held open"},
        {"fcntl", "descriptors without waiting"},
};

int rights_drop(void)
{
	struct confine_rights rights = {
	        .name = "skerry-admin",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}
