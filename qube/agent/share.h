/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_SHARE_H
#define QUBE_AGENT_SHARE_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Slots that the users of a qube share: each may have as many as are still free, so one alone gets
 * half of them, the next half of the rest, and nobody all.
 */

struct share; /* of one user who has slots */

struct shares {
	struct share *users;
	size_t max; /* slots of all */
	size_t used;
};

/** share_take() - a slot; NULL: this user has as many as are free, or no memory */
struct share *share_take(struct shares *shares, uid_t uid) MUST_CHECK;
void share_give(struct shares *shares, struct share *share);

#endif
