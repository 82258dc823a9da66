/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_STARTS_H
#define SLICES_QREXEC_STARTS_H

#include <sys/types.h>

#include "slices/qrexec/keeper.h"

/*
 * What the keeper has started: slices, the runner, a policy program. It may start nothing itself; its
 * starter (process/starter.h) starts these three as its command line says, and nothing else.
 */

/** starts_open() - the starter; before anything that it is not to hold is open; 0 or -1 with errno */
int starts_open(struct keeper *k) MUST_CHECK;
void starts_close(struct keeper *k);

/** starts_slice() - and the others: a child of ours, or -1 with errno; the socket is borrowed */
pid_t starts_slice(const struct keeper *k, int sock) MUST_CHECK;
pid_t starts_runner(const struct keeper *k, int sock) MUST_CHECK;
pid_t starts_policy(const struct request *r, int sock) MUST_CHECK;

/** keeper_confine() - rights.c: all that the keeper itself can do without goes; 0, or -1 after a log line */
int keeper_confine(const struct keeper *k) MUST_CHECK;

#endif
