/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SERVICES_POLICY_NAIVE_H
#define TESTS_UNIT_SERVICES_POLICY_NAIVE_H

#include "services/policy/policy.h"
#include "services/policy/system.h"

/** naive_rule() - the first rule that matches, read from the top; an index, or NO_ID.
 *  Texts are normalised: target is a known name, "@default", "@dispvm", "@adminvm", "@dispvm:NAME". */
uint32_t naive_rule(const struct policy *policy, const struct system *system, const char *source,
                    const char *target, const char *service, const char *argument);

#endif
