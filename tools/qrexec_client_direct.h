/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QREXEC_CLIENT_DIRECT_H
#define TOOLS_QREXEC_CLIENT_DIRECT_H

#include "tools/qrexec_client_options.h"

/**
 * run_direct() - a service of dom0 for dom0: no daemon, no channel; this process becomes the service
 * Returns only if that failed: 125, or 127 if there is no such service. With -e it returns the
 * status of the start.
 * Source: doc/protocol/qrexec.md, 5.5.
 */
int run_direct(const struct dom0_options *options) MUST_CHECK;

#endif
