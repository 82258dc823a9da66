/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_DISPOSABLE_H
#define SLICES_QREXEC_DISPOSABLE_H

#include "slices/qrexec/keeper.h"

/*
 * A qube that was created for one call. From its creation on it has an owner: the request that wants
 * it, then the connection to its daemon whose end is the end of the call, then the call that kills
 * it. Every way out leads to admin.vm.Kill, the end of the keeper too.
 */

struct disposable;

/** disposable_new() - NULL without memory. @name: borrowed; what qubesd gave */
struct disposable *disposable_new(struct keeper *k, const char *name) MUST_CHECK;

/** disposable_hold() - kill it when this connection to its daemon ends; takes fd and disposable */
void disposable_hold(struct disposable *d, int fd);

/** disposable_kill() - takes it */
void disposable_kill(struct disposable *d);

/** disposables_kill_all() - when the keeper ends */
void disposables_kill_all(struct keeper *k);

#endif
