/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/prompt.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"

#define TURN_NS       100000U /* the shortest that the kernel takes */
#define RESET_ON_FORK 1U      /* SCHED_FLAG_RESET_ON_FORK */

/* struct sched_attr of linux/sched/types.h, which newer C libraries define once more. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* of an ordinary process: its turn */
	uint64_t deadline;
	uint64_t period;
};

_Static_assert(sizeof(struct attributes) == 48, "SCHED_ATTR_SIZE_VER0");

void prompt_self(void)
{
	struct attributes a = {.size = sizeof(a),
	                       .policy = SCHED_OTHER,
	                       .flags = RESET_ON_FORK,
	                       .nice = getpriority(PRIO_PROCESS, 0),
	                       .runtime = TURN_NS};

	if (syscall(SYS_sched_setattr, 0, &a, 0U))
		LOG_ERRNO("short turns");
}
