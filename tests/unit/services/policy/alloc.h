/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SERVICES_POLICY_ALLOC_H
#define TESTS_UNIT_SERVICES_POLICY_ALLOC_H

#include <stdbool.h>

/** alloc_fail_from() - the allocation number at from here on finds no memory, and with all every
 *  later one; 0: none */
void alloc_fail_from(int at, bool all);
/** alloc_count() - allocations since, while at was not 0 */
int alloc_count(void);

#endif
