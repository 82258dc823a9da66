/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_PUBLIC_LIBVCHAN_H
#define LIB_VCHAN_PUBLIC_LIBVCHAN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The vchan interface that Qubes programs are written for, on the transports of Skerry: see
 * libvchan(3). VCHAN_TRANSPORT=socket (default) or memfd chooses one; VCHAN_SOCKET_DIR and
 * VCHAN_DOMAIN say where and who we are.
 */

#ifdef __cplusplus
extern "C" {
#endif

typedef int EVTCHN; /* a file descriptor */

typedef struct libvchan libvchan_t;

enum {
	VCHAN_DISCONNECTED = 0,
	VCHAN_CONNECTED = 1,
	VCHAN_WAITING = 2,
};

/* NULL with errno on failure. The client waits for its server. */
libvchan_t *libvchan_server_init(int domain, int port, size_t read_min, size_t write_min);
libvchan_t *libvchan_client_init(int domain, int port);

/* A client that does not wait: call finish each time that *watch_fd is readable.
 * finish: 0 connected (watch_fd is closed), > 0 not yet, < 0 failed (libvchan_close() is due). */
libvchan_t *libvchan_client_init_async(int domain, int port, EVTCHN *watch_fd);
int libvchan_client_init_async_finish(libvchan_t *ctrl, bool blocking);

/* Streams: bytes moved, or -1. Blocking write moves all; read moves at least one byte. */
int libvchan_write(libvchan_t *ctrl, const void *data, size_t size);
int libvchan_read(libvchan_t *ctrl, void *data, size_t size);
/* All or nothing: size, or 0 if not now (non-blocking), or -1. Never larger than the ring. */
int libvchan_send(libvchan_t *ctrl, const void *data, size_t size);
int libvchan_recv(libvchan_t *ctrl, void *data, size_t size);

/* Wait for the next event and take it; due whenever the descriptor is readable. 0, or -1. */
int libvchan_wait(libvchan_t *ctrl);
EVTCHN libvchan_fd_for_select(libvchan_t *ctrl);
int libvchan_is_open(libvchan_t *ctrl);
/* Bytes that can move now; ask for an event when that changes. */
int libvchan_data_ready(libvchan_t *ctrl);
int libvchan_buffer_space(libvchan_t *ctrl);

void libvchan_set_blocking(libvchan_t *ctrl, bool blocking);
void libvchan_close(libvchan_t *ctrl);

/* Why the channel is closed; a static string. Not in other implementations. */
const char *libvchan_reason(libvchan_t *ctrl);

#ifdef __cplusplus
}
#endif
#endif
