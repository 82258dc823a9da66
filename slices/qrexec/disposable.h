/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_DISPOSABLE_H
#define SLICES_QREXEC_DISPOSABLE_H

#include "slices/qrexec/keeper.h"

/*
 * A disposable that a call of this qube made: owned from the moment that it is asked for, so that
 * whatever happens to the call, qubesd is told to kill it. A kill that qubesd does not take is tried
 * again until it does. An empty file disposable.UUID.NAME in the socket folder, UUID being the
 * calling qube's, says who is owned: a keeper that was killed left it, and the next one kills.
 */

/**
 * disposable_create() - ask qubesd for one
 * @template:  a qube's name or uuid:…; with a uuid, the answer is one too
 * @done:      name: borrowed; NULL: there is none, and the object is gone. Not called after
 *             disposable_kill().
 * Returns NULL if qubesd cannot be asked.
 */
struct disposable *disposable_create(struct keeper *k, const char *template,
                                     void (*done)(void *arg, const char *name), void *arg)
        MUST_CHECK;

/** disposable_hold() - it lives until fd, the connection to its daemon, ends. fd: taken */
void disposable_hold(struct disposable *d, int fd);

/** disposable_kill() - now, or as soon as it exists; the object is gone when qubesd answered */
void disposable_kill(struct disposable *d);

void disposables_kill_all(struct keeper *k);

/** disposables_recover() - kill what a keeper of this qube that was killed has left */
void disposables_recover(struct keeper *k);

#endif
