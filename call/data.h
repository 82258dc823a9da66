/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_DATA_H
#define CALL_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"

/*
 * The data phase: one end of a call's data channel, pumped inside an event loop. Used by the agent,
 * by both clients and by the keeper's runner for services in dom0. Bulk data moves without a copy in
 * this process where the transport can (vchan_to_fd, vchan_from_pipe); back-pressure is the
 * transport's. SIGPIPE must be ignored by the process. Source: doc/protocol/qrexec.md, section 9.
 *
 * open_ms covers the channel and HELLO; if it runs out, or the peer breaks the protocol, or the
 * channel closes before HELLO, done() gets DATA_FAILED. So it does when bytes were lost here: a local
 * descriptor that fails otherwise than by its end (a full disk) makes no success of half a file.
 */

#define DATA_FAILED (-1) /* done(): no call took place, or the peer broke the protocol (logged) */

/*
 * What a server asks for each way: a writer sleeps and is woken once for half of it. The original's
 * 65536 hold not even one message of the largest size. Memory is taken only as far as bytes reach.
 */
#define DATA_RING_BYTES 524288U

enum data_side {
	DATA_CALLER,  /* sends STDIN; receives STDOUT, STDERR, EXIT_CODE */
	DATA_SERVICE, /* sends STDOUT, STDERR, EXIT_CODE; receives STDIN */
};

struct data_call;

struct data_config {
	enum data_side side;
	bool hello_after;    /* receive HELLO before sending ours (the vchan client of dom0) */
	uint64_t open_ms;    /* limit for the channel and HELLO; 0: none */
	uint64_t trace_call; /* 0: none */

	/* Local ends; -1: none. Taken. in_fd == out_fd is one shared socket: closed by shutdown. */
	int in_fd;        /* bytes from the peer go here */
	int out_fd;       /* bytes from here go to the peer */
	int err_fd;       /* service: its standard error; caller: where STDERR is written */
	bool keep_fds;    /* inherited 0-2: given their old file flags back and not closed; a shared
				 * socket is still shut down by direction */
	const void *lead; /* borrowed for the call of data_open(): written to in_fd before anything
				 * from the peer (the header line of a socket service); NULL: none */
	size_t lead_len;

	const void *
	        prefix; /* borrowed until done; sent before out_fd, at once, any length; NULL: none */
	size_t prefix_len;
	bool filter_out;         /* caller: replace terminal escapes in STDOUT */
	bool filter_err;         /* … in STDERR */
	bool exit_on_client_eof; /* socket services */
	bool exit_on_service_eof;
	bool no_exit_wait; /* service without a process: exit_code when both directions ended */
	bool just_exec;    /* service: only exit_code is sent, no end-of-file messages, and the call
				 * is over */
	bool failed; /* service: start failed; send the end-of-file messages and exit_code at once.
				 * dom0_order: STDERR first, else STDOUT first */
	int exit_code; /* with failed, just_exec or no_exit_wait */
	bool dom0_order;
	bool linger; /* service: the loop goes on after done(); a peer that has not ended its
				 * direction may go on sending for a while */

	/**
	 * done() - the call is over; the data_call is freed after it returns
	 * @status:  caller: what the client exits with (9.4) before a local program is counted;
	 *           255 if the channel closed without an exit code, or the code was negative; else
	 *           as received (256 is for exit() to make 0 of).
	 *           service: 0 if an exit code was written to the channel, else 1
	 *           either: DATA_FAILED
	 */
	void (*done)(void *arg, int status);
	void *arg;
};

/**
 * data_open() - begin the data phase; takes the channel (waiting or open) and the descriptors, on failure too
 * Errors: 0, or -1 with errno.
 */
int data_open(struct loop *loop, struct vchan *vchan, const struct data_config *config,
              struct data_call **ret_call) MUST_CHECK;

/** data_process_ended() - the service's process was reaped: code is what EXIT_CODE carries.
 *  Closes in_fd; EXIT_CODE follows when stdout and stderr have ended. */
void data_process_ended(struct data_call *call, int code);

/** data_use_stdin_socket() - SIGUSR1: output now comes from in_fd's socket; once */
void data_use_stdin_socket(struct data_call *call);

/** data_stop() - abandon: closes everything, frees; done() is not called */
void data_stop(struct data_call *call);

#endif
