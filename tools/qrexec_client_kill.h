/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QREXEC_CLIENT_KILL_H
#define TOOLS_QREXEC_CLIENT_KILL_H

/**
 * qubesd_kill() - ask qubesd for admin.vm.Kill of a qube, and wait for its answer (a limit applies)
 * Failures are logged: the call whose end this is has its own status.
 */
void qubesd_kill(const char *name);

#endif
