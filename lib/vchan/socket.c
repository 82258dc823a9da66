/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket transport: the connection is the vchan, nothing is added to the stream, so any
 * AF_UNIX program can be the peer. There are no rings; the kernel's socket buffers take their place.
 *
 * The connection is watched edge-triggered: unread bytes do not wake a caller who cannot use them
 * yet. EPOLLOUT is armed only after a write came short, for every byte that the peer reads would
 * wake us otherwise. A connection that refuses bytes may still hold bytes for us: only the end of
 * the stream ends reading (H14, V3).
 *
 * Source: doc/protocol/vchan.md, 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/base/fd.h"
#include "lib/vchan/vchan_internal.h"

/* What one sendmsg() of this size needs is one kernel buffer: it is taken whole or not at all. */
#define SEND_WHOLE_MAX 32768U
/* Bytes of kernel memory in the send buffer at most; chosen: some messages of the largest kind. */
#define SEND_BUFFER   (512 * 1024)

#define EVENTS_ALWAYS (EPOLLIN | EPOLLRDHUP | EPOLLET)

/* A fresh look: the descriptor becomes readable at once for what is there already, even for bytes
 * that were not read for good reason. */
static int arm_out_again(struct vchan *vchan)
{
	if (vchan->state != VCHAN_OPEN)
		return 0;
	vchan->socket.want_out = true;
	return vchan_watch(vchan, EPOLL_CTL_MOD, EVENTS_ALWAYS | EPOLLOUT);
}

/* While it is armed, room that came since has its event under way: arming it again would only wake
 * a caller who cannot read yet, and again each time that he looks for room. */
static int arm_out(struct vchan *vchan)
{
	return vchan->socket.want_out ? 0 : arm_out_again(vchan);
}

/*
 * The kernel wakes a writer when a quarter of the buffer is used; then at least this much is
 * writable, as kernel memory is counted at up to twice the bytes. More is never promised.
 */
static size_t promise_max(const struct vchan *vchan)
{
	return vchan->socket.send_max / 8 * 3;
}

/* Bytes sent; 0: no room, an event will come; -1 with EPIPE: the peer takes nothing any more. */
static ssize_t send_parts(struct vchan *vchan, struct iovec *parts, size_t n_parts)
{
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = n_parts};
	ssize_t r;

	do {
		r = sendmsg(vchan->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r >= 0) {
		vchan->socket.used = true;
		return r;
	}
	if (errno == EAGAIN && arm_out(vchan) == 0)
		return 0;
	/* No memory in the kernel: no room will come, so only trying again helps. */
	if ((errno == ENOBUFS || errno == ENOMEM) && arm_out_again(vchan) == 0)
		return 0;
	/* Not the peer's doing: it must hear of it, and so must who waits for the descriptor. */
	if (errno != EPIPE && errno != ECONNRESET)
		(void)shutdown(vchan->sock, SHUT_RDWR);
	vchan_end(vchan, "peer closed");
	errno = EPIPE;
	return -1;
}

static void pending_drop(struct socket_part *part)
{
	free(part->pending);
	part->pending = NULL;
	part->pending_off = 0;
	part->pending_len = 0;
}

static bool flush_pending(struct vchan *vchan)
{
	struct socket_part *part = &vchan->socket;

	if (!part->pending)
		return true;
	while (part->pending_off < part->pending_len) {
		struct iovec iov = {.iov_base = part->pending + part->pending_off,
		                    .iov_len = part->pending_len - part->pending_off};
		ssize_t r = send_parts(vchan, &iov, 1);

		if (r == 0)
			return false;
		if (r < 0)
			break;
		part->pending_off += (size_t)r;
	}
	pending_drop(part);
	return true;
}

static int prepare(struct vchan *vchan, const struct vchan_config *config)
{
	uint32_t order = 12;

	while (order < 20 && config->write_min > (size_t)1 << order)
		order++;
	vchan->socket.before_max = (size_t)1 << order;
	return 0;
}

static int size_send_buffer(struct vchan *vchan)
{
	int bytes = SEND_BUFFER / 2; /* the kernel doubles it */
	int now = 0;
	socklen_t len = sizeof(now);

	/* Beyond the system's limit only with the right to; what was there is good enough. */
	(void)setsockopt(vchan->sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (getsockopt(vchan->sock, SOL_SOCKET, SO_SNDBUF, &now, &len) < 0 || now <= 0)
		return -1;
	vchan->socket.send_max = (size_t)now;
	return 0;
}

static int attach(struct vchan *vchan, bool at_once)
{
	if (size_send_buffer(vchan))
		return -1;
	/* A fresh connection has room: EPOLLOUT tells a caller who sleeps that it is there. */
	vchan->socket.want_out = at_once;
	if (vchan_watch(vchan, EPOLL_CTL_ADD, EVENTS_ALWAYS | (at_once ? EPOLLOUT : 0U)))
		return -1;
	vchan->state = VCHAN_OPEN;
	(void)flush_pending(vchan);
	return 0;
}

static void step(struct vchan *vchan)
{
	struct epoll_event event;

	if (epoll_wait(vchan->epoll_fd, &event, 1, 0) <= 0)
		return;
	if (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		vchan_end(vchan, "peer closed");
	if (!(event.events & EPOLLOUT) || !vchan->socket.want_out)
		return;
	vchan->socket.want_out = false;
	if (flush_pending(vchan) && vchan_watch(vchan, EPOLL_CTL_MOD, EVENTS_ALWAYS))
		vchan_end(vchan, "cannot watch the connection");
}

static void refresh(struct vchan *vchan)
{
	struct pollfd look = {.fd = vchan->sock, .events = POLLRDHUP};

	if (poll(&look, 1, 0) > 0)
		vchan_end(vchan, "peer closed");
}

static void poke(struct vchan *vchan)
{
	if (arm_out_again(vchan))
		vchan_end(vchan, "cannot watch the connection");
}

static size_t ring_size(const struct vchan *vchan, bool rx)
{
	return 0;
}

static size_t readable(struct vchan *vchan, size_t wanted)
{
	int n = 0;

	if (vchan->socket.eof || ioctl(vchan->sock, SIOCINQ, &n) < 0 || n < 0)
		return 0;
	return (size_t)n;
}

static size_t room_now(const struct vchan *vchan)
{
	int used = 0;
	size_t room;

	if (ioctl(vchan->sock, SIOCOUTQ, &used) < 0 || used < 0)
		return 0;
	if ((size_t)used >= vchan->socket.send_max)
		return 0;
	room = (vchan->socket.send_max - (size_t)used) / 2;
	return MIN(MAX(room, SEND_WHOLE_MAX), promise_max(vchan));
}

static size_t writable(struct vchan *vchan, size_t wanted)
{
	size_t room;

	if (vchan->sock < 0)
		return vchan->socket.before_max - vchan->socket.pending_len;
	if (vchan->state != VCHAN_OPEN || !flush_pending(vchan))
		return 0;
	room = room_now(vchan);
	if (room < MIN(wanted, promise_max(vchan)) && arm_out(vchan))
		return 0;
	return room;
}

static ssize_t receive(struct vchan *vchan, void *buf, size_t len, int flags)
{
	ssize_t r;

	if (len == 0)
		return 0;
	if (!vchan->socket.eof) {
		do {
			r = recv(vchan->sock, buf, len, flags | MSG_DONTWAIT);
		} while (r < 0 && errno == EINTR);
		if (r > 0) {
			vchan->socket.used = true;
			return r;
		}
		if (r < 0 && errno == EAGAIN)
			return 0;
		vchan->socket.eof = true;
		vchan_end(vchan, "peer closed");
	}
	errno = EPIPE;
	return -1;
}

static ssize_t socket_read(struct vchan *vchan, void *buf, size_t len)
{
	return receive(vchan, buf, len, 0);
}

static ssize_t socket_peek(struct vchan *vchan, void *buf, size_t len)
{
	return receive(vchan, buf, len, MSG_PEEK);
}

static int keep(struct vchan *vchan, const uint8_t *data, size_t len)
{
	struct socket_part *part = &vchan->socket;
	size_t need = part->pending_len + len;
	uint8_t *grown;

	if (len == 0)
		return 0;
	grown = realloc(part->pending, need);
	if (!grown)
		return -1;
	memcpy(grown + part->pending_len, data, len);
	part->pending = grown;
	part->pending_len = need;
	return 0;
}

static ssize_t socket_write(struct vchan *vchan, const void *buf, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	if (vchan->sock < 0) {
		len = MIN(len, vchan->socket.before_max - vchan->socket.pending_len);
		return keep(vchan, buf, len) ? -1 : (ssize_t)len;
	}
	if (!flush_pending(vchan))
		return 0;
	if (vchan->state != VCHAN_OPEN) {
		errno = EPIPE;
		return -1;
	}
	return len > 0 ? send_parts(vchan, &iov, 1) : 0;
}

/*
 * The kernel refused a part of what room_now() said would fit (it is out of memory): the message
 * has begun, so the rest is ours to keep.
 */
static int keep_rest(struct vchan *vchan, const struct iovec parts[2], size_t sent)
{
	size_t head = parts[0].iov_len;
	const uint8_t *body = parts[1].iov_base;
	int r = 0;

	if (sent < head) {
		r = keep(vchan, (const uint8_t *)parts[0].iov_base + sent, head - sent);
		sent = head;
	}
	if (r == 0 && parts[1].iov_len > 0)
		r = keep(vchan, body + (sent - head), parts[1].iov_len - (sent - head));
	if (r == 0 && vchan->sock >= 0)
		r = arm_out(vchan);
	if (r)
		vchan_end(vchan, "out of memory");
	return r;
}

static int socket_write_message(struct vchan *vchan, const struct iovec parts[2])
{
	struct iovec copy[2] = {parts[0], parts[1]};
	size_t len = parts[0].iov_len + parts[1].iov_len;
	ssize_t r;

	if (len > (vchan->sock < 0 ? vchan->socket.before_max : promise_max(vchan))) {
		errno = EMSGSIZE;
		return -1;
	}
	if (vchan->sock < 0) {
		if (len > vchan->socket.before_max - vchan->socket.pending_len)
			return 1;
		return keep_rest(vchan, parts, 0);
	}
	if (!flush_pending(vchan))
		return 1;
	if (vchan->state != VCHAN_OPEN) {
		errno = EPIPE;
		return -1;
	}
	if (len == 0)
		return 0;
	if (len > SEND_WHOLE_MAX && writable(vchan, len) < len)
		return 1;
	r = send_parts(vchan, copy, 2);
	if (r <= 0)
		return r < 0 ? -1 : 1;
	return (size_t)r == len ? 0 : keep_rest(vchan, parts, (size_t)r);
}

/* splice() said EAGAIN: was it for fd? Only what fd says of itself is true of the time after it. */
static bool refuses(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLOUT};

	return poll(&look, 1, 0) == 0;
}

/*
 * Bulk is spliced: measured by bench/vchan_ring.c, pipe to pipe over a channel, 3.4 GB/s against 1.6
 * with read(2) and write(2) in between, where one plain pipe gives 3.9; pipes of 1 MiB change nothing.
 */
static ssize_t to_fd(struct vchan *vchan, int fd, size_t len, bool *ret_blocked)
{
	ssize_t r;

	if (vchan->socket.eof) {
		errno = EPIPE;
		return -1;
	}
	do {
		r = splice(vchan->sock, NULL, fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (r < 0 && errno == EINTR);
	if (r > 0) {
		vchan->socket.used = true;
		return r;
	}
	if (r < 0 && errno == EAGAIN) {
		*ret_blocked = refuses(fd);
		return 0;
	}
	if (r < 0 && errno != ECONNRESET) {
		*ret_blocked = true;
		return -1;
	}
	vchan->socket.eof = true;
	vchan_end(vchan, "peer closed");
	errno = EPIPE;
	return -1;
}

static ssize_t from_pipe(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked)
{
	int in_pipe = 0;
	bool again;
	ssize_t r;

	if (!flush_pending(vchan))
		return 0;
	if (vchan->sock < 0 || vchan->state != VCHAN_OPEN) {
		errno = vchan->sock < 0 ? EINVAL : EPIPE;
		return -1;
	}
	do {
		r = splice(pipe, NULL, vchan->sock, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (r < 0 && errno == EINTR);
	if (r > 0) {
		vchan->socket.used = true;
		return r;
	}
	if (r < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		vchan_end(vchan, "peer closed");
		errno = EPIPE;
		return -1;
	}
	if (r < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		return -1;
	again = r < 0 && errno != EAGAIN;
	*ret_blocked = r == 0 || ioctl(pipe, FIONREAD, &in_pipe) < 0 || in_pipe == 0;
	if (*ret_blocked || (again ? arm_out_again(vchan) : arm_out(vchan)) == 0)
		return 0;
	return -1;
}

static int export(struct vchan *vchan, struct vchan_handle *handle, int fds[VCHAN_FDS_MAX])
{
	if (vchan->socket.used || vchan->socket.pending) {
		errno = EBUSY;
		return -1;
	}
	fds[0] = vchan->sock;
	handle->send_max = (uint32_t)vchan->socket.send_max;
	handle->n_fds = 1;
	return 0;
}

static int import(struct vchan *vchan, const struct vchan_handle *handle,
                  const int fds[VCHAN_FDS_MAX])
{
	for (uint32_t i = 1; i < handle->n_fds; i++)
		(void)fd_close(fds[i]);
	if (handle->n_fds != 1) {
		errno = EINVAL;
		return -1;
	}
	vchan->socket.send_max = handle->send_max;
	vchan->socket.want_out = true;
	if (vchan_watch(vchan, EPOLL_CTL_ADD, EVENTS_ALWAYS | EPOLLOUT))
		return -1;
	vchan->state = VCHAN_OPEN;
	return 0;
}

static bool half_close(struct vchan *vchan)
{
	return flush_pending(vchan) && shutdown(vchan->sock, SHUT_WR) == 0;
}

static void detach(struct vchan *vchan)
{
	if (vchan->sock >= 0 && vchan->state == VCHAN_OPEN)
		(void)flush_pending(vchan);
	pending_drop(&vchan->socket);
}

const struct transport_ops transport_socket = {
        .suffix = ".sock",
        .prepare = prepare,
        .attach = attach,
        .step = step,
        .refresh = refresh,
        .poke = poke,
        .ring_size = ring_size,
        .readable = readable,
        .writable = writable,
        .read = socket_read,
        .peek = socket_peek,
        .write = socket_write,
        .write_message = socket_write_message,
        .to_fd = to_fd,
        .from_pipe = from_pipe,
        .export = export,
        .import = import,
        .half_close = half_close,
        .detach = detach,
};
