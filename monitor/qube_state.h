/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MONITOR_QUBE_STATE_H
#define MONITOR_QUBE_STATE_H

#include <stdbool.h>

#include "lib/base/compat.h"

/* What a qube may do next: one table of states and events. Pure. Test: tests/unit/monitor/qube_state.c */

enum qube_state {
	QUBE_NONE,     /* not a state of a qube: what an empty cell leads to */
	QUBE_OPENING,  /* its channels' socket is being made */
	QUBE_CREATING, /* the toolstack makes it */
	QUBE_DATABASE, /* its QubesDB slice gets ready */
	QUBE_PAUSED,   /* made and not begun, or paused later */
	QUBE_RUNNING,
	QUBE_HALTING, /* was asked to end by itself */
	QUBE_DYING,   /* is being destroyed, or has ended and its processes end */
	QUBE_STATES
};

enum qube_event {
	QUBE_OPENED,   /* the broker has its socket */
	QUBE_CREATED,  /* the toolstack has made it */
	QUBE_SERVED,   /* its QubesDB is there */
	QUBE_UNPAUSED, /* done */
	QUBE_PAUSE_DONE,
	QUBE_ASKED,   /* SHUTDOWN was passed on */
	QUBE_NETWORK, /* a change of its netvm is asked */
	QUBE_QREXEC,  /* its qrexec daemon is asked for */
	QUBE_DESTROY, /* asked, or its start has failed */
	QUBE_ENDED,   /* the ground says: nothing of it runs */
	QUBE_EVENTS
};

/** qube_state_next() - QUBE_NONE: not allowed */
enum qube_state qube_state_next(enum qube_state state, enum qube_event event);

const char *qube_state_name(enum qube_state state);

#endif
