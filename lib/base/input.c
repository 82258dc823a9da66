/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

void input_init(struct input *in, int fd)
{
	in->fd = fd;
	in->at = 0;
	in->len = 0;
	in->end = false;
}

/* Something to take, unless the stream has ended. */
static int fill(struct input *in)
{
	ssize_t n;

	if (in->at < in->len || in->end)
		return 0;
	do
		n = read(in->fd, in->buf, sizeof(in->buf));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	in->at = 0;
	in->len = (size_t)n;
	in->end = n == 0;
	return 0;
}

ssize_t input_line(struct input *in, char *dst, size_t max)
{
	size_t done = 0;

	while (done < max) {
		const char *newline;
		size_t n;

		if (fill(in))
			return -1;
		if (in->at == in->len)
			break;
		n = MIN(max - done, in->len - in->at);
		newline = memchr(in->buf + in->at, '\n', n);
		if (newline)
			n = (size_t)(newline - (in->buf + in->at)) + 1;
		memcpy(dst + done, in->buf + in->at, n);
		in->at += n;
		done += n;
		if (newline)
			break;
	}
	return (ssize_t)done;
}

ssize_t input_some(struct input *in, void *dst, size_t max)
{
	size_t n;

	if (fill(in))
		return -1;
	n = MIN(max, in->len - in->at);
	memcpy(dst, in->buf + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

int input_exact(struct input *in, void *dst, size_t len)
{
	char *to = dst;

	while (len > 0) {
		ssize_t n = input_some(in, to, len);

		if (n < 0)
			return -1;
		if (n == 0) {
			errno = EPIPE;
			return -1;
		}
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

int input_copy(struct input *in, int to_fd, unsigned long long max, unsigned long long *ret_copied)
{
	*ret_copied = 0;
	for (;;) {
		size_t n;

		if (fill(in))
			return -1;
		if (in->at == in->len)
			return 0;
		n = (size_t)MIN((unsigned long long)(in->len - in->at), max - *ret_copied);
		if (n == 0) {
			errno = EFBIG;
			return -1;
		}
		if (fd_write_all(to_fd, in->buf + in->at, n))
			return -1;
		in->at += n;
		*ret_copied += n;
	}
}
