/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_LOCAL_USERNS_H
#define HYPERVISOR_LOCAL_USERNS_H

#include "hypervisor/local/local.h"

/** local_userns_enter() - a place where this process may mount; 0, or -1 after a log line that says
 *  what the system lacks */
int local_userns_enter(struct local *local) MUST_CHECK;

#endif
