/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_START_H
#define SERVICES_ADMIN_START_H

#include "lib/base/compat.h"

/** start_defaults() - the empty world, before anything is loaded, and facts of the machine that nobody gave */
void start_defaults(void);
/** start_check() - after loading: an empty store gets its first rows; what does not fit together is
 *  mended and logged. 0 or -1. */
int start_check(void);
/** start_run_dir() - the folder of the sockets of running qubes; taken */
void start_run_dir(int fd);
int start_run_fd(void);

#endif
