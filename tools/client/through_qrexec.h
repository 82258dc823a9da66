/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_THROUGH_QREXEC_H
#define TOOLS_CLIENT_THROUGH_QREXEC_H

#include "tools/client/client.h"

/* Requests from a qube: qrexec-client-vm TARGET METHOD+ARGUMENT, payload and reply on its standard
 * descriptors. Its process is the price of a request there; dom0 pays none. */

/** through_qrexec_possible() - whether this is a qube: its agent listens, and the client is installed */
bool through_qrexec_possible(void);

/** through_qrexec_call() - makes the request and writes its reply */
void through_qrexec_call(struct admin_request *request);

/** through_qrexec_open() - starts the request and gives the descriptor from which its answer comes */
int through_qrexec_open(const struct admin_request *request, const char **ret_error) MUST_CHECK;

#endif
