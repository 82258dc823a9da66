/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/sink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/client/arena.h"

#define STEP 8192 /* bytes of room for a read, at least */

enum sink_state sink_read(struct sink *sink, int fd)
{
	ssize_t n;

	if (sink->room - sink->len < STEP) {
		sink->room = MAX(sink->room * 2, (size_t)STEP + 1);
		if (sink->room - sink->len < STEP)
			sink->room = sink->len + STEP + 1;
		sink->data = arena_grow(sink->data, sink->len, sink->room);
	}
	n = read(fd, sink->data + sink->len, sink->room - sink->len - 1);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? SINK_MORE : SINK_FAILED;
	sink->len += (size_t)n;
	sink->data[sink->len] = '\0';
	return n ? SINK_MORE : SINK_END;
}

void sink_drop(struct sink *sink, size_t n)
{
	memmove(sink->data, sink->data + n, sink->len - n + 1);
	sink->len -= n;
}
