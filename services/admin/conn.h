/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_CONN_H
#define SERVICES_ADMIN_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "services/admin/call.h"

/*
 * Connections to the three sockets: read up to the half-close, run the call, write the answer, close.
 * A stream (events, statistics) stays open and has a bounded queue: whoever does not read is told
 * "events-lost" and closed.
 */

#define CONN_MAX          2000U      /* connections at once; chosen */
#define CONN_STREAM_QUEUE (4U << 20) /* bytes waiting for one subscriber; chosen */
#define CONN_REQUEST_MS   600000U    /* from connecting to the half-close; chosen */

/** conn_listen() - takes a listening socket; 0 or -1 with errno */
int conn_listen(struct loop *loop, enum door door, int fd) MUST_CHECK;

void conn_set_call(struct conn *conn, struct call *c);

/** conn_reply() - the last bytes of a connection: it is closed when they are out */
void conn_reply(struct conn *conn, const struct text *bytes);

/**
 * conn_stream() - the connection stays open for events
 * @closed:  called once when the client left or was put out; the connection is gone then
 */
void conn_stream(struct conn *conn, void (*closed)(void *arg), void *arg);

/** conn_push() - bytes to a stream; a subscriber that is too slow is put out (closed is called) */
void conn_push(struct conn *conn, const void *bytes, size_t len);

/** conn_count() - how many there are */
size_t conn_count(void);

#endif
