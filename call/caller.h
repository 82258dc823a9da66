/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_CALLER_H
#define CALL_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"

/*
 * The calling side of a call as both clients have it: a data channel joined to the program's own
 * standard descriptors or to a local program, and the one exit status that comes out of it.
 * Source: doc/protocol/qrexec.md, sections 7, 8 and 9.
 */

struct caller;

#define CALLER_FAILED (-1) /* no call took place, or the peer broke the protocol (logged) */

enum caller_stdio {
	CALLER_STDIO,   /* 0 to the service, from the service to 1 */
	CALLER_SOCKET,  /* 0 is a stream socket and carries both */
	CALLER_NOTHING, /* JUST_EXEC: only the exit code is waited for */
	CALLER_PROGRAM, /* a local program's ends */
};

struct caller_config {
	enum caller_stdio stdio;
	pid_t pid;  /* CALLER_PROGRAM: to be reaped; <= 0: no process belongs to in_fd, out_fd */
	int in_fd;  /* CALLER_PROGRAM: taken; bytes of the service go here */
	int out_fd; /* CALLER_PROGRAM: taken; in_fd itself for one shared socket */
	int local_status; /* CALLER_PROGRAM without a process: what its status counts as */
	const void *lead; /* CALLER_PROGRAM: borrowed for the call; in_fd gets it first */
	size_t lead_len;
	const char *prefix; /* borrowed until done; NULL: none */
	bool filter_out;
	bool filter_err;
	bool usr1;        /* SIGUSR1 turns a local program's stdin socket into its output (9.5) */
	uint64_t open_ms; /* limit for the channel and HELLO; 0: none */

	/** done() - once, from the loop. @status: for exit(); or CALLER_FAILED. May free the caller. */
	void (*done)(void *arg, int status);
	void *arg;
};

/**
 * caller_start() - takes the channel and the local program's descriptors, on failure too
 * Errors: 0, or -1 with errno.
 */
int caller_start(struct loop *loop, struct vchan *vchan, const struct caller_config *config,
                 struct caller **ret_caller) MUST_CHECK;

/** caller_free() - abandons what still goes on; NULL is accepted; returns NULL */
struct caller *caller_free(struct caller *caller);

/** caller_stdin_is_stream() - is descriptor 0 a stream socket, as --use-stdin-socket wants it? */
bool caller_stdin_is_stream(void);

#endif
