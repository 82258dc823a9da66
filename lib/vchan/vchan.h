/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_VCHAN_H
#define LIB_VCHAN_VCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * A vchan: a reliable byte stream both ways between two domains, named by (server, client, port).
 * This is the interface that Skerry's own programs use: it never blocks, has one descriptor to
 * watch, and can move bulk data without a private copy. The libvchan.h interface for unmodified
 * Qubes programs (libvchan.c) stands on it.
 *
 * The peer is hostile: it may write any byte of the shared memory at any time, send anything, stop,
 * or vanish. The worst that it can do here is to end the channel (VCHAN_CLOSED).
 *
 * Source: doc/protocol/vchan.md.
 */

enum vchan_transport {
	VCHAN_SOCKET, /* AF_UNIX stream at <dir>/vchan.<server>.<client>.<port>.sock */
	VCHAN_MEMFD,  /* shared rings in a sealed memfd, events over the rendezvous socket, which is
			 * at the same path with .memfd in place of .sock */
	VCHAN_GRANT, /* Xen: granted pages and an event channel, met in xenstore; libxenvchan on the
			 * other side. Only in programs that call vchan_use_grant() */
};

enum vchan_state {
	VCHAN_CLOSED = 0, /* for ever; bytes that came before may still be readable */
	VCHAN_OPEN = 1,
	VCHAN_WAITING = 2, /* server: no client yet; client: no server yet */
};

struct vchan;

struct vchan_config {
	enum vchan_transport transport;
	const char *dir;    /* borrowed for the call; NULL: VCHAN_SOCKET_DIR or /var/run/vchan */
	const char *broker; /* memfd: socket of the broker in place of dir, borrowed for the call;
			     * NULL: VCHAN_BROKER, and if that is not set either, dir */
	int own;            /* own domid */
	int peer;           /* the other domid */
	int port;
	size_t read_min; /* server: ring bytes at least, up to VCHAN_RING_MAX; client: not used */
	size_t write_min;
	bool speaks; /* client: it reads or writes in the same turn in which the channel opens, so
			* the server need not be woken for each */
};

#define VCHAN_RING_MAX (1U << 20) /* bytes; protocol */

/** vchan_use_grant() - this program may meet its peers over xenstore; in grant_meet.c, which is
 *  linked only by who calls it: a slice has no use for xenstore and the grant devices. */
void vchan_use_grant(void);

/** vchan_config_from_env() - transport, dir, broker and own domid from VCHAN_TRANSPORT (socket | memfd |
 *  grant), VCHAN_SOCKET_DIR, VCHAN_BROKER and VCHAN_DOMAIN; the strings are borrowed from the environment.
 *  With none of the first three, and dom0's socket of a broker below the root: memfd by that broker.
 *  Without the first three, a program that may use grants does so where there is Xen, and asks
 *  xenstore for its domain.
 *  Errors: 0, or -1 with errno EINVAL (a domain that is no number, an unknown transport). */
int vchan_config_from_env(struct vchan_config *out) MUST_CHECK;

/** vchan_folder() - where peers meet by path, if no dir is given; 0, or -1 with errno ENAMETOOLONG */
int vchan_folder(char *path, size_t path_len) MUST_CHECK;

/**
 * vchan_listen() / vchan_connect() - a server, or a client that keeps trying until it is closed
 *
 * Neither blocks. Both start in VCHAN_WAITING, but a client whose server is there already may be
 * VCHAN_OPEN at once; its descriptor is readable once all the same. A server may be written to
 * before its client comes; the other calls give 0 until there is a connection.
 * A client retries with back-off (watching the directory) until the server appears; a deadline is
 * the caller's timer. A server serves one client ever: its listener is closed and its path removed
 * as soon as that client is there.
 * Errors: 0, or -1 with errno (EINVAL sizes or own == peer, ENAMETOOLONG, …).
 */
int vchan_listen(const struct vchan_config *config, struct vchan **ret_vchan) MUST_CHECK;
int vchan_connect(const struct vchan_config *config, struct vchan **ret_vchan) MUST_CHECK;

/**
 * vchan_export() - take an open channel apart, for a process that holds nothing else
 * @fds:  room for VCHAN_FDS_MAX; given to the caller
 *
 * The channel is freed on success. No byte may have been read or written yet, though the peer may
 * have sent some: they are not lost. Sent over a socket with fd_send_message() to the process that
 * calls vchan_import().
 * Errors: 0; -1 with errno (ENOTCONN, EBUSY: bytes pending); the channel stays valid then.
 */
#define VCHAN_FDS_MAX      4
#define VCHAN_EVENT_NOTIFY 0x00044504U /* the kernel's IOCTL_EVTCHN_NOTIFY */
struct vchan_handle {
	uint32_t transport;  /* enum vchan_transport */
	uint32_t is_server;  /* 0 or 1 */
	uint32_t left_order; /* memfd, grant: log2 of ring bytes, 10 … 20 */
	uint32_t right_order;
	uint32_t send_max; /* socket: bytes of its send buffer; grant: our event channel's port */
	uint32_t n_fds;
};
int vchan_export(struct vchan *vchan, struct vchan_handle *ret_handle, int fds[VCHAN_FDS_MAX])
        MUST_CHECK;
/** vchan_import() - takes the descriptors, on failure too. Needs epoll_create1, epoll_ctl, and for
 *  memfd fcntl, for it and grant fstat, mmap; the channel afterwards read, write, epoll_wait, epoll_ctl, send, recv,
 *  sendmsg and ioctl (SIOCINQ, SIOCOUTQ; grant: IOCTL_EVTCHN_NOTIFY alone, with which neither a
 *  grant can be mapped nor a port be bound). Its descriptor is readable once, whatever the exporter took.
 *  Errors: 0, or -1 with errno. */
int vchan_import(const struct vchan_handle *handle, const int fds[VCHAN_FDS_MAX],
                 struct vchan **ret_vchan) MUST_CHECK;

/** vchan_close() - flush what fits now, close, free; never blocks; NULL is accepted; returns NULL.
 *  The peer can still read what was written. */
struct vchan *vchan_close(struct vchan *vchan);

/**
 * vchan_half_close() - nothing more will be written; what the peer still sends is to be read until
 * it closes, or vchan_close()
 * Returns whether the peer can tell; false: the transport has no halves, or not all was taken yet.
 */
bool vchan_half_close(struct vchan *vchan);

/** vchan_fd() - one descriptor for life; readable (POLLIN) when something may have changed */
int vchan_fd(const struct vchan *vchan);

/**
 * vchan_step() - take the pending event and move on: accept, connect, flush, notice the end
 *
 * Call it when vchan_fd() is readable, before anything else. Bounded work. Returns the new state.
 */
enum vchan_state vchan_step(struct vchan *vchan);

enum vchan_state vchan_state(const struct vchan *vchan);

/** vchan_why() - why the channel closed ("peer closed", "corrupt ring index", …); static string */
const char *vchan_why(const struct vchan *vchan);

/**
 * vchan_readable() / vchan_writable() - bytes that can move now, and a promise of an event
 *
 * If the answer is less than @wanted, vchan_fd() becomes readable when it may have changed.
 */
size_t vchan_readable(struct vchan *vchan, size_t wanted);
size_t vchan_writable(struct vchan *vchan, size_t wanted);

/**
 * vchan_read() - up to len bytes; the copy is private
 * Errors: bytes read; 0 if none now; -1 with errno EPIPE if closed and drained.
 */
ssize_t vchan_read(struct vchan *vchan, void *buf, size_t len) MUST_CHECK;

/** vchan_peek() - as vchan_read() but leaves the bytes; len at most 64 */
ssize_t vchan_peek(struct vchan *vchan, void *buf, size_t len) MUST_CHECK;

/**
 * vchan_write() - as many bytes as fit now
 * Errors: bytes written; 0 if none fit; -1 with errno EPIPE if the peer is gone.
 */
ssize_t vchan_write(struct vchan *vchan, const void *buf, size_t len) MUST_CHECK;

/**
 * vchan_write_message() - header and body together, all or nothing
 * Errors: 0; 1 if they do not fit now and nothing was written (wait for the descriptor);
 *         -1 with errno EPIPE, or EMSGSIZE if they can never fit.
 */
int vchan_write_message(struct vchan *vchan, const void *head, size_t head_len, const void *body,
                        size_t body_len) MUST_CHECK;

/**
 * vchan_to_fd() / vchan_from_pipe() - bulk, with one copy or none
 *
 * vchan_to_fd() moves up to len bytes of the channel into fd (non-blocking), whose content is never
 * looked at: memfd writes straight from the ring, socket splices (fd must be a pipe, else EINVAL).
 * vchan_from_pipe() moves up to len bytes that are known to be in pipe.
 * Errors: bytes moved; 0 if none can move now. Then ret_blocked is true if fd (or pipe) itself
 *         refused, so that an edge-triggered watch of it will report when to try again; false
 *         means only that the channel had nothing (no room) at the time of the try: ask
 *         vchan_readable() (vchan_writable()), which promises the event or shows what came since.
 *         For vchan_to_fd() of the socket transport fd is looked at with poll(2), for splice(2)
 *         does not say which of its two sides it would wait for.
 *         -1 with errno: EPIPE channel gone, EINVAL use read/write instead, else the fd's error
 *         (EPIPE with ret_blocked true: nobody reads from fd any more).
 * The process must ignore SIGPIPE: neither splice(2) nor write(2) can be told not to raise it.
 */
ssize_t vchan_to_fd(struct vchan *vchan, int fd, size_t len, bool *ret_blocked) MUST_CHECK;
ssize_t vchan_from_pipe(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked) MUST_CHECK;

/**
 * vchan_message_from_fd() - one message whose body is read from fd straight into the channel
 * @head_len:   bytes before the body, at most VCHAN_HEAD_MAX
 * @len:        of the body at most; vchan_writable() must have said that head and body fit
 * @make_head:  writes the head, once the length of the body is known; not called without a body
 *
 * Only where shared memory lets read(2) do the channel's copy as well.
 * Errors: bytes of the body, or as read(2): 0 at the end of fd, -1 with fd's errno (EAGAIN, …);
 *         EOPNOTSUPP: this transport cannot, or they do not fit: read and write instead.
 */
#define VCHAN_HEAD_MAX 16
ssize_t vchan_message_from_fd(struct vchan *vchan, int fd, size_t head_len, size_t len,
                              void (*make_head)(void *arg, uint8_t *head, size_t body_len),
                              void *arg) MUST_CHECK;

/** vchan_set_patient() - an open channel: we read whatever comes as soon as we can, so the peer need not be woken for
 *  a little room, only when half of what the channel holds was read */
void vchan_set_patient(struct vchan *vchan);

#endif
