/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_DATA_INTERNAL_H
#define CALL_DATA_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "call/data.h"
#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"

/*
 * One end of a data channel, as its three files share it: data.c (life, HELLO, the end), data_send.c
 * (local descriptors to the channel), data_receive.c (channel to local descriptors).
 *
 * Descriptors are watched edge-triggered: an event sets a flag, the pump tries until the kernel says
 * EAGAIN and clears it. So a steady stream costs no epoll_ctl. The pump is the only place that ends
 * a call; everything else sets flags and lets it run.
 */

/* Bytes of a message that may be read ahead with its header: saves a system call for small ones. */
#define DATA_AHEAD 512U

/* Small messages of one turn that go out together: each system call saved, and each time that the
 * peer is not woken for a part. Chosen: the messages around a short answer. */
#define DATA_JOIN 256U

/* From this size a message is worth splicing instead of copying. Chosen. */
#define DATA_BULK_MIN 16384U

/* A private pipe, made when the first bulk message comes. */
struct bulk_pipe {
	int read_fd; /* -1: none */
	int write_fd;
	size_t len; /* bytes in it */
};

/* Bytes that could not be written at once. */
struct backlog {
	uint8_t *data; /* owned; NULL: none */
	size_t off;
	size_t len; /* from off */
};

/* Where bytes from the peer go. */
struct data_sink {
	int fd;
	bool ready;  /* the kernel has not said EAGAIN since the last event */
	bool closed; /* nothing is written any more; the descriptor may still be open */
	bool is_socket;
	bool no_splice;
	bool wide;    /* local_widen() was called */
	int narrow;   /* what it held before, bytes; 0: as much as now */
	bool eof_due; /* close when the backlog is out */
	struct backlog backlog;
	struct bulk_pipe pipe;
};

/* Where bytes for the peer come from. */
struct data_source {
	int fd;
	bool ready;
	bool closed; /* end of file seen, or given up */
	bool eof_sent;
	bool bulk;  /* the last read filled its buffer */
	bool wide;  /* local_widen() was called */
	int narrow; /* what it held before, bytes; 0: as much as now */
	bool no_splice;
	uint32_t type;         /* of its messages */
	struct bulk_pipe pipe; /* what is in it has its header on the channel already */
};

struct data_call {
	struct loop *loop;
	struct vchan *vchan;
	struct data_config config;
	struct loop_fd vchan_watch;
	struct loop_fd in_watch; /* of in.fd, and of out.fd if it is the same */
	struct loop_fd out_watch;
	struct loop_fd err_watch;
	struct loop_timer deadline;
	struct loop_defer again;

	struct data_sink in;
	struct data_source out;
	struct data_source err; /* service */
	struct data_sink diag;  /* caller: STDERR */
	int old_flags[3];       /* keep_fds: of in, out and err; -1: not touched */

	/* Sending. */
	bool hello_sent;
	bool no_direct;  /* the transport cannot read a local descriptor into the channel */
	bool full;       /* the channel has too little room; cleared by its next event */
	size_t room_max; /* most room seen, bytes: what the channel holds when it is empty */
	bool send_dead;  /* the peer takes nothing any more */
	size_t prefix_off;
	struct backlog held;       /* rest of a message that is partly on the channel */
	uint8_t joined[DATA_JOIN]; /* messages of this turn; empty while something is held */
	size_t joined_len;
	bool exit_due; /* the exit code is known */
	bool exit_sent;
	int exit_code;
	bool first_byte_sent;

	/* Receiving. */
	bool hello_received;
	bool recv_dead;            /* closed and drained */
	bool dry;                  /* nothing to read; cleared by the channel's next event */
	uint32_t chunk_max;        /* bytes; of the negotiated version */
	uint8_t ahead[DATA_AHEAD]; /* hostile */
	size_t ahead_off;
	size_t ahead_len;
	struct data_sink *target; /* of the message being received; NULL: dropped */
	uint32_t type;
	size_t left;        /* bytes of its body still to come */
	bool bulk;          /* the last body was large */
	bool bulk_via_pipe; /* the transport wants a pipe */
	uint8_t code[4];    /* EXIT_CODE so far */
	size_t code_len;
	bool exit_received;
	bool input_ended; /* the peer's end-of-file message has come */
	bool told_wrong_type;

	bool ended;
	int status;
};

/* One buffer for all calls of the process: no handler leaves bytes in it. */
extern uint8_t data_scratch[QREXEC_HEADER_LEN + QREXEC_DATA_MAX];

/** data_end() - the call is over with this status; the pump will finish it */
void data_end(struct data_call *call, int status);

/**
 * data_send_step() / data_receive_step() - one bounded piece of work each
 * Returns whether anything moved.
 */
bool data_send_step(struct data_call *call);
bool data_receive_step(struct data_call *call);

/** data_put() - bytes on the channel, in order, at the latest with data_flush(); what does not fit
 *  is held. Never fails: a dead channel sets send_dead. */
void data_put(struct data_call *call, const void *data, size_t len);
/** data_flush() - returns whether a part of it is held now */
bool data_flush(struct data_call *call);

/** data_send_idle() - no message is partly on the channel */
bool data_send_idle(const struct data_call *call);

/** data_source_end() - no more from here; the end-of-file message becomes due */
void data_source_end(struct data_call *call, struct data_source *source);

/** data_sink_busy() - bytes wait for the local side */
bool data_sink_busy(const struct data_sink *sink);
/** data_sink_close() - drop what waits, close the direction */
void data_sink_close(struct data_call *call, struct data_sink *sink);
/** data_sink_deliver() - write, keep what does not fit */
void data_sink_deliver(struct data_call *call, struct data_sink *sink, const uint8_t *data,
                       size_t len);

/** bulk_pipe_open() - 0, or -1: no descriptor to be had, copy instead */
int bulk_pipe_open(struct bulk_pipe *pipe) MUST_CHECK;
void bulk_pipe_close(struct bulk_pipe *pipe);

/** local_widen() - much moves through this local pipe or socket: let it hold more, so that who is at
 *  its other end is woken for more at a time. Never smaller; what cannot be had is done without.
 *  Returns the bytes that it held before, 0 if nothing was changed. */
int local_widen(int fd, bool is_socket);

/** local_restore() - others go on using it; a pipe in which more than that waits stays as it is */
void local_restore(int fd, bool is_socket, int narrow);

void backlog_free(struct backlog *backlog);
/** backlog_add() - at the end; 0, or -1 without memory */
int backlog_add(struct backlog *backlog, const void *data, size_t len) MUST_CHECK;

#endif
