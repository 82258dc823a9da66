/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_CHANNEL_H
#define SERVICES_POLICY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/* A channel that is closed: channel_send() fails, channel_fini() does nothing. */
#define CHANNEL_EMPTY                                                                              \
	{                                                                                          \
		.source = LOOP_FD_EMPTY, .fd = -1                                                  \
	}

/*
 * Frames over a stream socketpair between the policy service and one of its helpers: u32 length,
 * then that many bytes. Never blocks: what the peer does not take waits in a bounded queue, and what
 * does not fit there is refused to the caller. A frame over the limit ends the channel.
 */

struct channel {
	struct loop *loop;
	struct loop_fd source;
	struct loop_defer later; /* write what waits, at the end of the turn */
	int fd;                  /* owned; -1 once closed */
	bool paused;             /* what the peer says waits in the socket */
	size_t frame_max;
	size_t queue_max;
	uint8_t *in;
	size_t in_len, in_room;
	uint8_t *out;
	size_t out_at, out_len, out_room;
	void (*on_frame)(void *arg, const uint8_t *untrusted_data, size_t len);
	void (*on_close)(void *arg); /* called once, from the loop */
	void *arg;
};

/**
 * channel_init() - start watching
 * @fd:         taken on success; a stream socket
 * @frame_max:  bytes of one frame, both ways
 * @queue_max:  bytes that may wait for the peer
 * Errors: 0, or -1 with errno.
 */
int channel_init(struct channel *c, struct loop *loop, int fd, size_t frame_max, size_t queue_max)
        MUST_CHECK;
void channel_fini(struct channel *c);

/** channel_send() - queue a frame; 0, or -1 with errno ENOBUFS (the peer is behind), EPIPE, ENOMEM.
 *  The frame is written at the end of the turn of the loop, with others. */
int channel_send(struct channel *c, const void *data, size_t len) MUST_CHECK;

/** channel_end() - as if the peer had closed it: on_close is called. Does nothing if it is closed. */
void channel_end(struct channel *c);

/** channel_pause() - whether to leave what the peer says in the socket; its end is noticed all the same */
void channel_pause(struct channel *c, bool paused);

/** channel_pending() - whether something waits that an open peer has not taken */
bool channel_pending(const struct channel *c);

/** channel_flush() - write what waits, as far as the peer takes it */
void channel_flush(struct channel *c);

#endif
