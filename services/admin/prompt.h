/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_PROMPT_H
#define SERVICES_ADMIN_PROMPT_H

/**
 * prompt_self() - this process answers others and computes little: it asks the scheduler for short turns,
 * which come sooner. Its share of the processors stays the same, and it needs no right. A kernel before
 * 6.12 changes nothing. Test: bench/admin.py, which measures reads beside the machine's own lateness.
 */
void prompt_self(void);

#endif
