/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_LOCAL_H
#define SLICES_QREXEC_LOCAL_H

#include "slices/qrexec/keeper.h"

/*
 * The local socket: qrexec-client, other keepers, children of original daemons. They are trusted, but
 * every length is bounded, none can make another wait, and none may stay without a command.
 * States: HELLO, COMMAND, (WAITING for a port,) RUNNING. Source: doc/protocol/qrexec.md, 6.4.
 */

/** local_open() - the socket and both of its names; 0, or -1 with errno after a log line */
int local_open(struct keeper *k) MUST_CHECK;

/** local_close() - socket, names and all clients; does nothing if it is not open */
void local_close(struct keeper *k);

/** local_terminated() - the call that this client asked for has ended: it is closed */
void local_terminated(struct keeper *k, void *owner);

#endif
