/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QUBESDB_KEEPER_H
#define SLICES_QUBESDB_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

struct keeper_options {
	const char *name; /* of the qube, for its sockets */
	int domid;        /* 0: dom0's own store, which has no channel */
	mode_t mode;      /* of the socket that can write */
	int ready_fd;     /* one byte once the sockets are there; -1: none */
};

/** keeper_run() - until SIGTERM; the exit status */
int keeper_run(const struct keeper_options *options) MUST_CHECK;

/** keeper_confine() - keeper_rights.c: once the slice runs and the sockets are made; 0, or -1 after a log
 *  line */
int keeper_confine(const struct keeper_options *options) MUST_CHECK;

#endif
