/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROCESS_LINK_H
#define PROCESS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "proto/monitor.h"

/*
 * One end of a socket pair on which messages of proto/monitor.h go: by the monitor to each of its
 * processes, and by them to it. Never waits: what the other side does not take yet is kept, up to a
 * bound beyond which it is given up. Reads a bounded number of messages a turn.
 */

struct link {
	int fd; /* owned; -1: none */
	struct loop *loop;
	struct loop_fd source;
	struct link_packet *first; /* not yet taken by the other side */
	struct link_packet **last;
	size_t waiting; /* bytes of them */
	void (*on_message)(void *arg, const struct monitor_message *message);
	void (*on_end)(
	        void *arg); /* closed, or not spoken as it should be; once; the link is empty then */
	void *arg;
};

#define LINK_EMPTY                                                                                 \
	{                                                                                          \
		.fd = -1, .source = LOOP_FD_EMPTY                                                  \
	}

#define LINK_WAITING_MAX (4U << 20) /* bytes; chosen: over 700 of the longest messages */

/** link_open() - takes the descriptor, on failure too; 0 or -1 with errno */
int link_open(struct link *link, struct loop *loop, int fd,
              void (*on_message)(void *arg, const struct monitor_message *message),
              void (*on_end)(void *arg), void *arg) MUST_CHECK;

/** link_send() - now or later; what cannot be sent ends the link, which its owner is told from the loop */
void link_send(struct link *link, const struct monitor_message *message);

static inline bool link_is_open(const struct link *link)
{
	return link->fd >= 0;
}

void link_close(struct link *link);

#endif
