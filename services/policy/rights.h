/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_RIGHTS_H
#define SERVICES_POLICY_RIGHTS_H

#include <stddef.h>

#include "lib/base/compat.h"
#include "services/policy/policy.h"

/**
 * rights_drop() - what the deciding process keeps: its descriptors, and reading policy
 * @inputs:  what the policy was read from so far; the folders of included files stay readable
 *
 * Readable are the folders above the policy directories (so that one which is made again can be read)
 * and those of files included from elsewhere. A policy that includes from a new place later is refused
 * until the service is started again.
 * Errors: 0, or -1 after a log line; the caller must exit.
 * Test:   tests/confine/policy.py
 */
int rights_drop(const struct policy_place *place, const struct policy_inputs *inputs) MUST_CHECK;

#endif
