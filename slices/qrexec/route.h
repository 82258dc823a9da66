/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_ROUTE_H
#define SLICES_QREXEC_ROUTE_H

#include "slices/qrexec/request.h"

/** route_call() - what follows "allow": dom0, another qube, or a new disposable. The request may be
 *  gone after it. @answer: borrowed for the call. Source: doc/protocol/qrexec.md, 6.9. */
void route_call(struct request *r, const struct policy_answer *answer);

/** route_stop() - the end: closes what is kept open */
void route_stop(struct keeper *k);

#endif
