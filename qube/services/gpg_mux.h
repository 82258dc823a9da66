/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_GPG_MUX_H
#define QUBE_SERVICES_GPG_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/services/gpg.h"

/*
 * The frames of a qubes.Gpg call, of both ends: what local descriptors give goes out in frames, frames
 * that come in go to local descriptors. Each direction holds one frame at most, so neither end can make
 * the other keep more, and neither waits for a write while it could read.
 */

struct gpg_mux {
	int net_in; /* frames from the other qube; all descriptors are borrowed until they end */
	int net_out;
	size_t n_sources;
	int sources[GPG_FDS_MAX]; /* read from; -1: ended. Closed at their end */
	size_t n_sinks;
	int sinks[GPG_FDS_MAX]; /* written to; -1: ended. Closed when the other side says so */
	bool may_end;           /* a frame of net_in may say how gpg ended (the asking end) */
	bool ends_with_sources; /* done when every source ended (the serving end) */
	int status;             /* of the frame that ended it; -1: there was none */
};

/**
 * gpg_mux_run() - until the end
 * Errors: 0; -1 with errno (EPROTO: a frame that is not one; EPIPE: the stream ended before).
 */
int gpg_mux_run(struct gpg_mux *mux) MUST_CHECK;

/** gpg_mux_send_status() - how gpg ended; 0, or -1 with errno */
int gpg_mux_send_status(struct gpg_mux *mux, int status) MUST_CHECK;

#endif
