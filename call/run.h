/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_RUN_H
#define CALL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "call/service.h"
#include "call/spawn.h"
#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"

/*
 * The service side of a call as a whole: start what a command names, join it to its data channel,
 * report its end. Nothing blocks and nothing is forked for socket and TCP services.
 *
 * VM flavour (dom0 false): stderr is a pipe and travels; HELLO is sent first; failed starts report
 * STDOUT EOF, STDERR EOF, code. dom0 flavour: stderr is inherited, STDERR EOF comes first, HELLO is
 * received first, failed starts report STDERR EOF, STDOUT EOF, code; qubes.WaitForSession, if the
 * configuration asks for it, runs before (stdin closed, with a deadline).
 * Source: doc/protocol/qrexec.md, sections 9 and 10.
 */

struct run;

struct run_config {
	bool dom0;
	bool just_exec;
	/* Not NULL: the service starts at once, and only then the channel is looked for there, while
	 * the program is being loaded. The loop must go on after done(). Borrowed for the call, its
	 * dir until done(). */
	const struct vchan_config *early;
	int status; /* not 0: what service_parse() or service_find() said; only report it */
	const struct service_command *command; /* borrowed for the call; may be of a failed parse */
	const struct service_found *found;     /* borrowed for the call; NULL for a shell command */
	uint64_t open_ms;                      /* limit for the channel and HELLO; 0: none */
	uint64_t trace_call;                   /* 0: none */

	/**
	 * start() - another way of starting a program (user switching); NULL: spawn_start()
	 * Takes a config whose env is complete; does what spawn_start() does.
	 */
	int (*start)(void *arg, const struct spawn_config *config, struct spawned *out);
	void *start_arg;
	const char *shell; /* shell commands; NULL: /bin/sh */

	int *start_status; /* NULL, or set if the service could not be run: 125, 127; else left */

	/** done() - the call is over, the run is freed after it returns. @status: as data_config's
	 *  (0: an exit code was written to the channel). Never called from within run_start(). */
	void (*done)(void *arg, int status);
	void *arg;
};

/**
 * run_start() - takes the channel (waiting or open; NULL with config's early), on failure too
 *
 * A service that cannot be started is no failure: its exit code goes to the caller.
 * Errors: 0, or -1 with errno (memory, descriptors).
 */
int run_start(struct loop *loop, struct vchan *vchan, const struct run_config *config,
              struct run **ret_run) MUST_CHECK;

/** run_use_stdin_socket() - SIGUSR1 came for this call (9.5) */
void run_use_stdin_socket(struct run *run);

/** run_stop() - abandon: closes everything, frees; done() is not called; NULL is accepted */
void run_stop(struct run *run);

/**
 * run_exec() - replace this process by the service, with inherited stdio (dom0 to dom0)
 * @command:  parsed with dom0 true; @found: of kind SERVICE_EXECUTABLE
 * Returns only on failure: 127 (no such program or interpreter) or 125.
 */
int run_exec(const struct service_command *command, const struct service_found *found) MUST_CHECK;

#endif
