/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_UPDATE_REQUEST_H
#define SERVICES_DOM0_UPDATE_REQUEST_H

#include "lib/base/compat.h"

/*
 * dom0's request for updates: without one nobody may send any. It is a file that names the qube which was
 * asked, and it is open as long as the process that asks holds a lock on it: one that is killed leaves
 * none. One transfer answers a request.
 */

/** update_request_lock() - one that asks at a time; the descriptor, or -1 after a log line. Its end closes
 *  the request as well */
int update_request_lock(void) MUST_CHECK;

/** update_request_open(), update_request_close() - @fd: of update_request_lock(). 0, or -1 with errno */
int update_request_open(int fd, const char *qube) MUST_CHECK;
int update_request_close(int fd) MUST_CHECK;

/**
 * update_request_take() - was @qube asked? It is no longer, then
 * Called under a lock of the folder of updates, so one transfer takes it.
 * Errors: 0, or -1 after a log line.
 */
int update_request_take(const char *qube) MUST_CHECK;

#endif
