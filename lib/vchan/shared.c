/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the transports over shared memory have in common: everything that is done with the rings
 * once they are mapped, whatever made them and whatever wakes the peer.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/shared.h"

/* The state that the ring and the doorbell give together; what was written can still be read. */
void shared_take_state(struct vchan *vchan)
{
	struct ring_pair *ring = &vchan->shared.ring;
	enum ring_state state = ring_update(ring);

	if (ring->broken)
		vchan_end(vchan, ring->broken);
	else if (state == RING_CLOSED || vchan->shared.dead)
		vchan_end(vchan, "peer closed");
	else if (state == RING_OPEN && vchan->state == VCHAN_WAITING)
		vchan->state = VCHAN_OPEN;
}

size_t shared_ring_size(const struct vchan *vchan, bool rx)
{
	return rx ? vchan->shared.ring.rx.size : vchan->shared.ring.tx.size;
}

/* The first byte ends the time in which the channel can be handed on, and with it the memfd. */
static void note_use(struct vchan *vchan)
{
	if (vchan->shared.memory >= 0 && vchan->sock >= 0)
		vchan->shared.memory = fd_close(vchan->shared.memory);
}

/* A peer that died said nothing in the page; the ring then has to be told. */
static bool usable(struct vchan *vchan)
{
	if (!vchan->shared.map && (!vchan->ops->map || vchan->ops->map(vchan)))
		return false;
	if (vchan->shared.dead)
		vchan->shared.ring.state = RING_CLOSED;
	return true;
}

static ssize_t result(struct vchan *vchan, ssize_t r)
{
	if (r > 0)
		note_use(vchan);
	else if (r < 0)
		shared_take_state(vchan);
	if (r < 0)
		errno = EPIPE;
	return r;
}

static ssize_t no_ring(const struct vchan *vchan)
{
	if (vchan->state == VCHAN_WAITING)
		return 0;
	errno = EPIPE;
	return -1;
}

size_t shared_readable(struct vchan *vchan, size_t wanted)
{
	size_t n = usable(vchan) ? ring_readable(&vchan->shared.ring, wanted) : 0;

	if (vchan->shared.ring.broken)
		shared_take_state(vchan);
	return n;
}

size_t shared_writable(struct vchan *vchan, size_t wanted)
{
	size_t n = usable(vchan) ? ring_writable(&vchan->shared.ring, wanted) : 0;

	if (vchan->shared.ring.broken)
		shared_take_state(vchan);
	return n;
}

ssize_t shared_read(struct vchan *vchan, void *buf, size_t len)
{
	if (!usable(vchan))
		return no_ring(vchan);
	return result(vchan, ring_read(&vchan->shared.ring, buf, len));
}

ssize_t shared_peek(struct vchan *vchan, void *buf, size_t len)
{
	if (!usable(vchan))
		return no_ring(vchan);
	return result(vchan, ring_peek(&vchan->shared.ring, buf, len));
}

ssize_t shared_write(struct vchan *vchan, const void *buf, size_t len)
{
	if (!usable(vchan))
		return no_ring(vchan);
	return result(vchan, ring_write(&vchan->shared.ring, buf, len));
}

int shared_write_message(struct vchan *vchan, const struct iovec parts[2])
{
	int r;

	if (!usable(vchan))
		return no_ring(vchan) ? -1 : 1;
	r = ring_write_whole(&vchan->shared.ring, parts);
	if (r == 0)
		note_use(vchan);
	else if (r < 0 && errno == EPIPE)
		return (int)result(vchan, -1);
	return r;
}

ssize_t shared_to_fd(struct vchan *vchan, int fd, size_t len, bool *ret_blocked)
{
	struct iovec spans[2];
	ssize_t n;

	if (!usable(vchan))
		return no_ring(vchan);
	n = ring_rx_spans(&vchan->shared.ring, len, spans);
	if (n <= 0)
		return result(vchan, n);
	do {
		n = writev(fd, spans, spans[1].iov_len > 0 ? 2 : 1);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		ring_rx_done(&vchan->shared.ring, (size_t)n);
		note_use(vchan);
		return n;
	}
	*ret_blocked = true;
	return n < 0 && errno == EAGAIN ? 0 : n;
}

ssize_t shared_from_pipe(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked)
{
	struct iovec spans[2];
	ssize_t n;

	if (!usable(vchan))
		return no_ring(vchan);
	n = ring_tx_spans(&vchan->shared.ring, len, spans);
	if (n <= 0)
		return result(vchan, n);
	do {
		n = readv(pipe, spans, spans[1].iov_len > 0 ? 2 : 1);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		ring_tx_done(&vchan->shared.ring, (size_t)n);
		note_use(vchan);
		return n;
	}
	*ret_blocked = true;
	return n < 0 && errno == EAGAIN ? 0 : n;
}

static void skip(struct iovec spans[2], size_t len)
{
	for (int i = 0; i < 2; i++) {
		size_t n = MIN(len, spans[i].iov_len);

		spans[i].iov_base = (uint8_t *)spans[i].iov_base + n;
		spans[i].iov_len -= n;
		len -= n;
	}
}

/* The index moves on after head and body are there, so the peer never sees one without the other. */
ssize_t shared_message_from_fd(struct vchan *vchan, int fd, size_t head_len, size_t len,
                               void (*make_head)(void *arg, uint8_t *head, size_t body_len),
                               void *arg)
{
	uint8_t head[VCHAN_HEAD_MAX];
	struct iovec spans[2] = {{0}}, body[2];
	ssize_t n = -1;

	if (usable(vchan))
		n = ring_tx_spans(&vchan->shared.ring, head_len + len, spans);
	if (n <= (ssize_t)head_len) {
		errno = EOPNOTSUPP;
		return -1;
	}
	body[0] = spans[0];
	body[1] = spans[1];
	skip(body, head_len);
	n = readv(fd, body, body[1].iov_len > 0 ? 2 : 1);
	if (n <= 0)
		return n;
	make_head(arg, head, (size_t)n);
	ring_put(spans, head, head_len);
	ring_tx_done(&vchan->shared.ring, head_len + (size_t)n);
	note_use(vchan);
	return n;
}

void shared_set_patient(struct vchan *vchan)
{
	vchan->shared.ring.patient = true;
}
