/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_POOL_INTERNAL_H
#define QUBE_AGENT_POOL_INTERNAL_H

#include "lib/base/compat.h"
#include "qube/agent/pool.h"

#define POOL_LINE_MAX (66U * 1024) /* bytes of a command line with its NUL */

/** spawner_main() - forks a worker for every descriptor that comes over the socket, until it ends */
void spawner_main(int sock) NORETURN;

/** worker_main() - runs jobs that come over the socket until it ends and the last call is over */
void worker_main(int sock) NORETURN;

#endif
