/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See qube_state.h.
 *
 *   OPENING -> CREATING -> DATABASE -> PAUSED <-> RUNNING -> HALTING
 *   from CREATING on: DESTROY -> DYING; ENDED -> DYING; there it stays until its processes have ended
 *
 * A request that the table does not allow is refused: the one who asks may be late, which is no fault.
 */
#include "monitor/qube_state.h"

static const enum qube_state moves[QUBE_STATES][QUBE_EVENTS] = {
        [QUBE_OPENING] = {[QUBE_OPENED] = QUBE_CREATING, [QUBE_ENDED] = QUBE_DYING},
        [QUBE_CREATING] = {[QUBE_CREATED] = QUBE_DATABASE,
                           [QUBE_DESTROY] = QUBE_DYING,
                           [QUBE_ENDED] = QUBE_DYING},
        [QUBE_DATABASE] = {[QUBE_SERVED] = QUBE_PAUSED,
                           [QUBE_DESTROY] = QUBE_DYING,
                           [QUBE_ENDED] = QUBE_DYING},
        [QUBE_PAUSED] = {[QUBE_UNPAUSED] = QUBE_RUNNING,
                         [QUBE_PAUSE_DONE] = QUBE_PAUSED,
                         [QUBE_NETWORK] = QUBE_PAUSED,
                         [QUBE_QREXEC] = QUBE_PAUSED,
                         [QUBE_DESTROY] = QUBE_DYING,
                         [QUBE_ENDED] = QUBE_DYING},
        [QUBE_RUNNING] = {[QUBE_UNPAUSED] = QUBE_RUNNING,
                          [QUBE_PAUSE_DONE] = QUBE_PAUSED,
                          [QUBE_ASKED] = QUBE_HALTING,
                          [QUBE_NETWORK] = QUBE_RUNNING,
                          [QUBE_QREXEC] = QUBE_RUNNING,
                          [QUBE_DESTROY] = QUBE_DYING,
                          [QUBE_ENDED] = QUBE_DYING},
        [QUBE_HALTING] = {[QUBE_ASKED] = QUBE_HALTING,
                          [QUBE_UNPAUSED] = QUBE_HALTING,
                          [QUBE_NETWORK] = QUBE_HALTING,
                          [QUBE_DESTROY] = QUBE_DYING,
                          [QUBE_ENDED] = QUBE_DYING},
        [QUBE_DYING] = {[QUBE_DESTROY] = QUBE_DYING, [QUBE_ENDED] = QUBE_DYING},
};

static const char *const names[QUBE_STATES] = {
        [QUBE_NONE] = "none",         [QUBE_OPENING] = "opening", [QUBE_CREATING] = "creating",
        [QUBE_DATABASE] = "database", [QUBE_PAUSED] = "paused",   [QUBE_RUNNING] = "running",
        [QUBE_HALTING] = "halting",   [QUBE_DYING] = "dying",
};

enum qube_state qube_state_next(enum qube_state state, enum qube_event event)
{
	if ((unsigned int)state >= QUBE_STATES || (unsigned int)event >= QUBE_EVENTS)
		return QUBE_NONE;
	return moves[state][event];
}

const char *qube_state_name(enum qube_state state)
{
	return (unsigned int)state < QUBE_STATES ? names[state] : names[QUBE_NONE];
}
