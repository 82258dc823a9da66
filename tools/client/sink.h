/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_SINK_H
#define TOOLS_CLIENT_SINK_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes as they come from a descriptor, in the arena, with a NUL behind them. */
struct sink {
	char *data;
	size_t len, room;
};

enum sink_state { SINK_MORE, SINK_END, SINK_FAILED };

/** sink_read() - takes what a descriptor gives at once; SINK_FAILED with errno */
enum sink_state sink_read(struct sink *sink, int fd);

/** sink_receive() - the same from a socket, waiting for as much as there is room for */
enum sink_state sink_receive(struct sink *sink, int sock);

/** sink_drop() - takes bytes off the front */
void sink_drop(struct sink *sink, size_t n);

#endif
