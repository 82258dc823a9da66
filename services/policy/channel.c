/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"

#define HEAD      4U
#define READ_STEP 65536U

/* Room for need more bytes at the end of a buffer; -1 with ENOMEM. */
static int grow(uint8_t **buffer, size_t *room, size_t used, size_t need)
{
	size_t want = *room ? *room : 4096;
	uint8_t *p;

	while (want - used < need)
		want *= 2;
	if (want == *room)
		return 0;
	p = realloc(*buffer, want);
	if (!p)
		return -1;
	*buffer = p;
	*room = want;
	return 0;
}

void channel_end(struct channel *c)
{
	if (c->fd < 0)
		return;
	loop_fd_remove(c->loop, &c->source);
	loop_defer_clear(c->loop, &c->later);
	c->fd = fd_close(c->fd);
	if (c->on_close)
		c->on_close(c->arg);
}

/* Every whole frame; the rest moves to the front. A handler may end the channel. */
static void take_frames(struct channel *c)
{
	size_t at = 0;

	while (c->fd >= 0 && c->in_len - at >= HEAD) {
		size_t untrusted_len = le32_get(c->in + at);

		if (untrusted_len > c->frame_max) {
			channel_end(c);
			return;
		}
		if (c->in_len - at - HEAD < untrusted_len)
			break;
		c->on_frame(c->arg, c->in + at + HEAD, untrusted_len);
		at += HEAD + untrusted_len;
	}
	if (c->fd < 0)
		return;
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	if (c->in_len == 0 && c->in_room > READ_STEP) {
		free(c->in);
		c->in = NULL;
		c->in_room = 0;
	}
}

static void read_some(struct channel *c)
{
	ssize_t n;

	if (grow(&c->in, &c->in_room, c->in_len, READ_STEP / 4)) {
		channel_end(c);
		return;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		channel_end(c);
		return;
	}
	c->in_len += (size_t)n;
	take_frames(c);
}

/* Nothing waits: a queue that had grown long gives its memory back. */
static void out_empty(struct channel *c)
{
	c->out_at = c->out_len = 0;
	if (c->out_room > 4 * READ_STEP) {
		free(c->out);
		c->out = NULL;
		c->out_room = 0;
	}
}

static void watch(struct channel *c)
{
	uint32_t events = c->paused ? 0 : EPOLLIN;

	if (c->fd >= 0)
		loop_fd_set(c->loop, &c->source, events | (c->out_len ? EPOLLOUT : 0U));
}

void channel_pause(struct channel *c, bool paused)
{
	c->paused = paused;
	watch(c);
}

void channel_flush(struct channel *c)
{
	ssize_t n;

	while (c->fd >= 0 && c->out_at < c->out_len) {
		n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
		         MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			/* The reading side tells the owner. */
			c->out_at = c->out_len = 0;
			return;
		}
		if (n < 0)
			break;
		c->out_at += (size_t)n;
	}
	if (c->out_at == c->out_len)
		out_empty(c);
	watch(c);
}

bool channel_pending(const struct channel *c)
{
	return c->fd >= 0 && c->out_at < c->out_len;
}

static void flush_later(void *arg)
{
	channel_flush(arg);
}

static void on_ready(void *arg, uint32_t events)
{
	struct channel *c = arg;

	if (events & EPOLLOUT)
		channel_flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(c);
}

int channel_init(struct channel *c, struct loop *loop, int fd, size_t frame_max, size_t queue_max)
{
	*c = (struct channel){.loop = loop, .source = LOOP_FD_EMPTY, .fd = -1};
	c->frame_max = frame_max;
	c->queue_max = queue_max;
	if (loop_fd_add(loop, &c->source, fd, EPOLLIN, on_ready, c))
		return -1;
	c->fd = fd;
	return 0;
}

void channel_fini(struct channel *c)
{
	c->on_close = NULL;
	channel_end(c);
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
}

int channel_send(struct channel *c, const void *data, size_t len)
{
	uint8_t head[HEAD];

	if (c->fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (len > c->frame_max || c->out_len - c->out_at + len + HEAD > c->queue_max) {
		errno = ENOBUFS;
		return -1;
	}
	if (c->out_at > 0) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	if (grow(&c->out, &c->out_room, c->out_len, len + HEAD))
		return -1;
	le32_put(head, (uint32_t)len);
	memcpy(c->out + c->out_len, head, HEAD);
	memcpy(c->out + c->out_len + HEAD, data, len);
	c->out_len += HEAD + len;
	/* Behind a full socket EPOLLOUT is watched already. */
	if (!(c->source.events & EPOLLOUT))
		loop_defer_set(c->loop, &c->later, flush_later, c);
	return 0;
}
