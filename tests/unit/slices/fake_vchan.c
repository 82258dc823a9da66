/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/vchan over memory, put in its place at link time: a test writes what the agent would. */
#include "tests/unit/slices/fake_vchan.h"

#include <errno.h>
#include <string.h>

enum vchan_state vchan_state(const struct vchan *v)
{
	return v->closed && v->in_at == v->in_len ? VCHAN_CLOSED : VCHAN_OPEN;
}

const char *vchan_why(const struct vchan *v)
{
	(void)v;
	return "fake";
}

size_t vchan_readable(struct vchan *v, size_t wanted)
{
	(void)wanted;
	return v->in_len - v->in_at;
}

size_t vchan_writable(struct vchan *v, size_t wanted)
{
	(void)wanted;
	return v->room;
}

ssize_t vchan_read(struct vchan *v, void *buf, size_t len)
{
	size_t n = MIN(len, v->in_len - v->in_at);

	if (v->piece > 0)
		n = MIN(n, v->piece);
	if (n == 0 && v->closed) {
		errno = EPIPE;
		return -1;
	}
	if (n > 0)
		memcpy(buf, v->in + v->in_at, n);
	v->in_at += n;
	return (ssize_t)n;
}

/* Only the newest bytes are kept when there are more than fit. */
static void put(struct vchan *v, const void *data, size_t len)
{
	if (v->out_len + len > sizeof(v->out))
		v->out_len = 0;
	memcpy(v->out + v->out_len, data, len);
	v->out_len += len;
	v->room -= len;
}

ssize_t vchan_write(struct vchan *v, const void *buf, size_t len)
{
	size_t n = MIN(len, v->room);

	if (n > 0)
		put(v, buf, n);
	return (ssize_t)n;
}

int vchan_write_message(struct vchan *v, const void *head, size_t head_len, const void *body,
                        size_t body_len)
{
	if (head_len + body_len > v->room)
		return 1;
	put(v, head, head_len);
	if (body_len > 0)
		put(v, body, body_len);
	return 0;
}
