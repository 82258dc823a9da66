/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/sink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/client/arena.h"

#define STEP 4096 /* bytes of room for a read, at least: most replies */

static void make_room(struct sink *sink)
{
	if (sink->room - sink->len > STEP)
		return;
	sink->room = sink->len + MAX(sink->len, (size_t)STEP) + 1;
	sink->data = arena_grow(sink->data, sink->len, sink->room);
}

static enum sink_state take(struct sink *sink, ssize_t n)
{
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? SINK_MORE : SINK_FAILED;
	sink->len += (size_t)n;
	sink->data[sink->len] = '\0';
	return n ? SINK_MORE : SINK_END;
}

enum sink_state sink_read(struct sink *sink, int fd)
{
	make_room(sink);
	return take(sink, read(fd, sink->data + sink->len, sink->room - sink->len - 1));
}

enum sink_state sink_receive(struct sink *sink, int sock)
{
	size_t room;
	ssize_t n;

	make_room(sink);
	room = sink->room - sink->len - 1;
	n = recv(sock, sink->data + sink->len, room, MSG_WAITALL);
	if (take(sink, n) == SINK_FAILED)
		return SINK_FAILED;
	return n == 0 ? SINK_END : SINK_MORE;
}

void sink_drop(struct sink *sink, size_t n)
{
	memmove(sink->data, sink->data + n, sink->len - n + 1);
	sink->len -= n;
}
