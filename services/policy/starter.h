/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_STARTER_H
#define SERVICES_POLICY_STARTER_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Keeps the policy service alive: holds the listening sockets, starts the deciding process and its
 * helpers, and starts again what ends. It reads no byte from any of them, so nobody can talk it into
 * anything; it learns only that a process ended and how. A helper that ended is started anew and its
 * channel is handed to the deciding process. When the deciding process ends, its helpers end with it
 * and all are started anew; connections wait in the listening sockets meanwhile.
 */

/* Descriptors of the deciding process at its start; the listening sockets follow in this order. */
#define DECIDER_CONTROL_FD 3
#define DECIDER_LISTEN_FD  4
enum decider_listen { LISTEN_POLICY, LISTEN_EVAL, LISTEN_GUI, LISTEN_CALLS, LISTEN_MAX };

/* What goes over the control socket: one byte, which helper, with its channel. */
enum decider_helper { HELPER_FACTS, HELPER_PROMPTER, HELPER_RECORDER, HELPER_MAX };

/* The deciding process ends with this to be started anew: it must read what it gave up the right to. */
#define DECIDER_RENEW 75

struct starter_options {
	const char *const *decider_args; /* after the program's name; NULL at the end */
	const char *helper_args[HELPER_MAX];
	int listen[LISTEN_MAX]; /* borrowed */
};

/**
 * starter_run() - until SIGTERM or SIGINT
 * Errors: the exit status: 0; 1 after a log line.
 */
int starter_run(const struct starter_options *options) MUST_CHECK;

#endif
