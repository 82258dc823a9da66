/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_CHILD_H
#define SERVICES_DOM0_CHILD_H

#include <sys/types.h>

#include "lib/base/compat.h"

/* Children that read what nobody vouches for, and end with a status. They die with us. */

#define CHILD_E_RIGHTS 102 /* its status if this system cannot confine it */
#define CHILD_LOST     255

/** child_fork() - as fork(2) */
pid_t child_fork(void) MUST_CHECK;

/** child_wait() - its status; CHILD_LOST if it was never started or did not end by itself */
int child_wait(pid_t pid) MUST_CHECK;

#endif
