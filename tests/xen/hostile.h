/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_HOSTILE_H
#define TESTS_XEN_HOSTILE_H

/* Where a hostile qube attacks, and dom0 has somebody who is attacked: ports of vchans. */
enum hostile_port {
	HOSTILE_RINGS =
	        780, /* servers whose page, grants, nodes or life are not what they should be */
	HOSTILE_STORM = 781,   /* and three more: servers that only send events */
	HOSTILE_WATCHED = 790, /* nodes that change all the time */
};

#endif
