/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_NOTIFY_H
#define QUBE_AGENT_NOTIFY_H

#include "qube/agent/agent.h"

/** notify_ready() - READY=1 to systemd; once, and only if NOTIFY_SOCKET is set */
void notify_ready(void);

/** notify_meminfo() - SIGUSR1 to the meminfo-writer, once: the qube is in use from now on */
void notify_meminfo(struct agent *agent);

#endif
