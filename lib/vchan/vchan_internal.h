/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_VCHAN_INTERNAL_H
#define LIB_VCHAN_VCHAN_INTERNAL_H

#include "lib/vchan/meet.h"
#include "lib/vchan/ring.h"
#include "lib/vchan/vchan.h"

/*
 * What the transports share. A channel is one allocation: no buffer of its own, two descriptors
 * when it is open (an epoll descriptor that never changes, and the connection).
 */

struct vchan;

/*
 * One transport. All are called with a valid channel; those below `attach` only once a connection
 * exists, but for the writing ones of a server, which may run before. None blocks.
 */
struct transport_ops {
	const char
	        *suffix; /* of the rendezvous path, with its dot; NULL: it meets in another way */
	/* In place of a rendezvous path: begin; step() goes on with it. 0, or -1 with errno. */
	int (*start)(struct vchan *vchan, const struct vchan_config *config);
	/* Shared memory that is mapped at its first use; NULL: it is from the start. 0 or -1. */
	int (*map)(struct vchan *vchan);
	/* A server's preparations before anybody can connect. 0, or -1 with errno. */
	int (*prepare)(struct vchan *vchan, const struct vchan_config *config);
	/* vchan->sock has just been connected and is not watched yet. 0, or -1 with errno. */
	int (*attach)(struct vchan *vchan, bool at_once);
	void (*step)(struct vchan *vchan);
	/* Look at the state without taking an event; make the descriptor readable once more. */
	void (*refresh)(struct vchan *vchan);
	void (*poke)(struct vchan *vchan);
	size_t (*ring_size)(const struct vchan *vchan, bool rx);
	size_t (*readable)(struct vchan *vchan, size_t wanted);
	size_t (*writable)(struct vchan *vchan, size_t wanted);
	ssize_t (*read)(struct vchan *vchan, void *buf, size_t len);
	ssize_t (*peek)(struct vchan *vchan, void *buf, size_t len);
	ssize_t (*write)(struct vchan *vchan, const void *buf, size_t len);
	int (*write_message)(struct vchan *vchan, const struct iovec parts[2]);
	ssize_t (*to_fd)(struct vchan *vchan, int fd, size_t len, bool *ret_blocked);
	ssize_t (*from_pipe)(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked);
	/* As vchan_message_from_fd(); NULL: cannot. */
	ssize_t (*message_from_fd)(struct vchan *vchan, int fd, size_t head_len, size_t len,
	                           void (*make_head)(void *arg, uint8_t *head, size_t body_len),
	                           void *arg);
	void (*set_patient)(struct vchan *vchan); /* NULL: the kernel is */
	/* Whether the channel is as new as vchan_export() wants it; fills handle and fds. */
	int (*export)(struct vchan *vchan, struct vchan_handle *handle, int fds[VCHAN_FDS_MAX]);
	/* vchan->sock is fds[0]; the others are the transport's, on failure too. */
	int (*import)(struct vchan *vchan, const struct vchan_handle *handle,
	              const int fds[VCHAN_FDS_MAX]);
	/* End our direction only; NULL: there is no such thing. Whether it is done. */
	bool (*half_close)(struct vchan *vchan);
	/* Flush what fits, tell the peer, free the transport's part; sock is closed by the caller. */
	void (*detach)(struct vchan *vchan);
};

extern const struct transport_ops transport_socket;
extern const struct transport_ops transport_memfd;
extern const struct transport_ops transport_grant;

struct socket_part {
	uint8_t *pending;   /* written but not yet taken by the kernel; NULL: none */
	size_t pending_off; /* first byte of it that is still to be sent */
	size_t pending_len; /* end of it */
	size_t before_max;  /* server: bytes that may be written before the client comes */
	size_t send_max;    /* SO_SNDBUF in bytes of kernel memory */
	bool want_out;      /* EPOLLOUT is armed */
	bool eof;           /* read to the end */
	bool used;          /* a byte was read or written */
};

/* memfd and grant */
struct shared_part {
	struct ring_pair ring;
	uint8_t *map;        /* control page, then the rings of order >= 12; NULL: none */
	size_t map_len;      /* bytes */
	uint32_t left_order; /* log2 of bytes; private copies */
	uint32_t right_order;
	int memory; /* what is mapped; until the first byte has moved; -1: closed */
	bool dead;  /* end of the doorbell socket seen; grant: the peer's domain is gone */
	bool woken; /* imported: EPOLLOUT is armed to give one event */
	bool notify_on_unmap;     /* grant: the kernel tells the peer of our end */
	uint32_t event_port;      /* grant: ours */
	int peer;                 /* grant: the other domain; 0 if imported */
	struct grant_meet *grant; /* grant: the rendezvous under way, and what is left of it */
};

struct vchan {
	const struct transport_ops *ops;
	struct meet *meet; /* rendezvous under way; NULL once connected */
	enum vchan_state state;
	const char *why; /* static string */
	int epoll_fd;
	int sock; /* the connection, or -1 */
	bool is_server;
	bool speaks; /* as in struct vchan_config */
	union {
		struct socket_part socket;
		struct shared_part shared;
	};
};

/** vchan_end() - the channel is over: latches VCHAN_CLOSED and the first reason */
void vchan_end(struct vchan *vchan, const char *why);

/** vchan_watch() - (re)register the connection with the channel's epoll descriptor; 0 or -1 */
int vchan_watch(struct vchan *vchan, int op, uint32_t events) MUST_CHECK;

/** vchan_unwatch() - the connection has nothing more to say */
void vchan_unwatch(struct vchan *vchan);

#endif
