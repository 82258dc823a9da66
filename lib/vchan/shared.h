/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_SHARED_H
#define LIB_VCHAN_SHARED_H

#include "lib/vchan/vchan_internal.h"

/* The entries of struct transport_ops that every transport over shared memory has. */

/** shared_take_state() - the state that the ring, and what was seen of the peer's end, give together */
void shared_take_state(struct vchan *vchan);

size_t shared_ring_size(const struct vchan *vchan, bool rx);
size_t shared_readable(struct vchan *vchan, size_t wanted);
size_t shared_writable(struct vchan *vchan, size_t wanted);
ssize_t shared_read(struct vchan *vchan, void *buf, size_t len);
ssize_t shared_peek(struct vchan *vchan, void *buf, size_t len);
ssize_t shared_write(struct vchan *vchan, const void *buf, size_t len);
int shared_write_message(struct vchan *vchan, const struct iovec parts[2]);
ssize_t shared_to_fd(struct vchan *vchan, int fd, size_t len, bool *ret_blocked);
ssize_t shared_from_pipe(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked);
ssize_t shared_message_from_fd(struct vchan *vchan, int fd, size_t head_len, size_t len,
                               void (*make_head)(void *arg, uint8_t *head, size_t body_len),
                               void *arg);
void shared_set_patient(struct vchan *vchan);

#endif
