/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SERVICES_POLICY_INVARIANTS_H
#define TESTS_UNIT_SERVICES_POLICY_INVARIANTS_H

#include "services/policy/decide.h"

/**
 * invariants_broken() - what holds for every policy, system and question
 * @warm:  a view that answered anything before, in any order
 *
 * The verdict is that of a view made for this question alone, its rule is the first that a reader
 * from the top meets, what is denied is not offered, and what is allowed can be said.
 * Errors: NULL, or what does not hold.
 */
const char *invariants_broken(struct view *warm, const struct policy_question *question);

#endif
