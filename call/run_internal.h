/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_RUN_INTERNAL_H
#define CALL_RUN_INTERNAL_H

#include <stdint.h>
#include <sys/types.h>

#include "call/data.h"
#include "call/run.h"
#include "call/service.h"
#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * A service that runs, as run.c (its life) and run_connect.c (sockets) share it. What the config
 * borrowed is copied here in the shape in which it is used: the command line and what it names.
 */

struct run {
	struct loop *loop;
	struct vchan *vchan;      /* waiting or open; until the data phase takes it, then NULL */
	struct run_config config; /* command and found point into this struct */
	struct vchan_config early;
	struct service_command command;
	struct service_found found;

	struct loop_fd channel_watch; /* until the channel is open, unless early */
	struct loop_timer deadline;
	struct loop_fd connect_watch;
	struct loop_timer connect_timer;
	uint64_t connect_wait_ms;
	int connect_fd;

	struct data_call *data;
	struct run_child *child; /* outlives the run if the process does */
	struct loop_defer finish;
	int status;
};

/** run_connect() - SERVICE_SOCKET or SERVICE_TCP: connect, then run_connected() or run_failed() */
void run_connect(struct run *run);
void run_connect_fini(struct run *run);

/** run_connected() - takes fd, a connected socket */
void run_connected(struct run *run, int fd);

/** run_failed() - the service could not be started: report the code */
void run_failed(struct run *run, int code);

#endif
