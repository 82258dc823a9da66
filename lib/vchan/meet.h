/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_MEET_H
#define LIB_VCHAN_MEET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * How a server and its client find each other: a Unix socket at
 * <dir>/vchan.<server>.<client>.<port><suffix>.
 *
 * A path that a former server left is replaced at once by a socket that listens already, so no client
 * can be lost between them. One client is accepted; the listener is closed and the path removed by
 * meet_free(), if it still is ours: a newer server's path is left alone. A client that comes too
 * early does not spin: it looks again after half the time that it has waited, and after
 * MEET_WATCH_MS lets the kernel watch the directory.
 *
 * Source: doc/protocol/vchan.md, 2.1, H16, V2, V5, V6.
 */

#define MEET_WATCH_MS 100 /* chosen: closing an inotify descriptor takes up to 20 ms (measured) */

struct meet;

/**
 * meet_listen() / meet_connect() - start; neither waits
 * @epoll_fd:  borrowed until meet_free(); what has to be waited for is added to it
 * @ret_sock:  meet_connect(): given; the connection, or -1 if the server is not there yet
 * Errors: 0, or -1 with errno.
 */
int meet_listen(const char *path, int epoll_fd, struct meet **ret_meet) MUST_CHECK;
int meet_connect(const char *path, int epoll_fd, struct meet **ret_meet, int *ret_sock) MUST_CHECK;

/**
 * meet_broker() - as meet_listen() and meet_connect(), through a broker that knows both sides
 * @path:  the broker's socket; who may speak there is one domain for it
 *
 * The question is asked again after a pause as long as nobody answers: a broker that is started anew
 * has forgotten it.
 * Errors: 0, or -1 with errno.
 */
int meet_broker(const char *path, int epoll_fd, bool is_server, uint32_t peer, uint32_t port,
                struct meet **ret_meet) MUST_CHECK;

/**
 * meet_step() - the epoll descriptor was readable: accept, or try again
 * @ret_sock:  given; the connection (non-blocking), or -1 if there is none yet; meet_free() is due
 *             once it is there
 * Errors: 0, or -1 with errno: there will never be one.
 */
int meet_step(struct meet *meet, int *ret_sock) MUST_CHECK;

/** meet_listener() - what becomes readable when a client comes, borrowed; -1 for a client */
int meet_listener(const struct meet *meet);

/** meet_free() - stop; a server's path is removed if it still is its own; NULL is accepted */
struct meet *meet_free(struct meet *meet);

#endif
