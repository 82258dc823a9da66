/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_QUBESD_H
#define SLICES_QREXEC_QUBESD_H

#include <stddef.h>

#include "slices/qrexec/keeper.h"

/* One call of the Admin API, on a connection of its own. Source: doc/protocol/qrexec.md, 6.9. */

#define QUBESD_REPLY_MAX 65535U /* bytes; protocol */

struct qubesd_call;

/**
 * qubesd_start() - send a call; the answer comes later
 * @method:   "admin.vm.Start"
 * @dest:     borrowed; a qube's name or uuid:…
 * @payload:  borrowed; may be ""
 * @done:     called once, from the loop, unless cancelled; then the call is gone.
 *            reply: NULL: no connection, too long, too late. Else len bytes, borrowed.
 * Errors: 0, or -1 with errno: done will not be called.
 */
int qubesd_start(struct keeper *k, const char *method, const char *dest, const char *payload,
                 void (*done)(void *arg, const char *reply, size_t len), void *arg,
                 struct qubesd_call **ret_call) MUST_CHECK;

/** qubesd_cancel() - close; NULL is accepted */
void qubesd_cancel(struct qubesd_call *call);

#endif
