/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_ANSWER_TIME_H
#define CALL_ANSWER_TIME_H

#include <stdbool.h>

#include "lib/base/compat.h"

/*
 * This machine's time on standard output: the answers of qubes.GetDate and qubes.GetRandomizedTime, in
 * dom0 and in qubes. Source: doc/protocol/services.md, GetDate.
 */

/** answer_time() - one line; @ns: with nanoseconds; the exit status */
int answer_time(bool ns) MUST_CHECK;

/** answer_randomized_time() - up to three minutes are added or taken away, for qubes that must not
 *  learn how far this clock is off; the exit status */
int answer_randomized_time(void) MUST_CHECK;

#endif
