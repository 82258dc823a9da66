/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_USER_H
#define QUBE_AGENT_USER_H

#include <stdbool.h>

#include "call/service.h"
#include "call/spawn.h"
#include "lib/base/compat.h"

/*
 * Running a program as another user: through PAM (service qrexec) if it was built in, else through
 * su. An agent that is not root runs programs as itself only. Source: doc/protocol/qrexec.md, 10.8.
 */

struct user {
	char name[SERVICE_USER_MAX];
	char tag[128]; /* for the system log: descriptor-source; "": a shell command */
};

/** user_is_own() - whether the agent, not being root, may run a program as this user */
bool user_is_own(const char *name);

/**
 * user_prepare() - what user_start() needs for a call
 * @name:  "": the call stays in this process's own session (a fork server's)
 * Returns whether user_start() is to be used: true if we are root and a user is named.
 */
bool user_prepare(struct user *user, const char *name, const struct service_command *command)
        MUST_CHECK;

/**
 * user_start() - a run_config's start(): the program in a session of the user
 * @arg:  struct user
 *
 * What can wait (PAM) does so in a process of its own, whose exit status is that of the program;
 * an unknown user or a refusal of PAM is status 125.
 * Errors: as spawn_start().
 */
int user_start(void *arg, const struct spawn_config *config, struct spawned *out) MUST_CHECK;

#endif
