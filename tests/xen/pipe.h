/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_PIPE_H
#define TESTS_XEN_PIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * One end of a vchan, blocking, over our library or over the stock libxenvchan, so that a test can
 * put either on either side.
 */
enum pipe_library {
	PIPE_OURS,
	PIPE_STOCK,  /* blocking: each wait is a read of the event channel */
	PIPE_POLLED, /* stock as the programs of Qubes use it: poll, then libxenvchan_wait() */
};

struct pipe_end {
	enum pipe_library library;
	void *channel;
};

enum pipe_role { PIPE_LISTEN, PIPE_CONNECT };

/** pipe_open() - waits until there is a peer; rings of @ring bytes each way if it listens
 *  Errors: 0, or -1 after a line on standard error. */
int pipe_open(struct pipe_end *end, enum pipe_library library, enum pipe_role role, int own,
              int peer, int port, size_t ring) MUST_CHECK;
/** pipe_read(), pipe_write() - exactly len bytes; 0, or -1: the peer is gone */
int pipe_read(struct pipe_end *end, void *data, size_t len) MUST_CHECK;
int pipe_write(struct pipe_end *end, const void *data, size_t len) MUST_CHECK;
void pipe_close(struct pipe_end *end);

#endif
