/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_SPAWN_H
#define CALL_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "call/service.h"
#include "lib/base/compat.h"

/*
 * Starting the program of a call: its descriptors, environment and arguments. The parent is never
 * copied, so it costs the same from a large process. Signals are reset, every
 * descriptor from 3 up is closed in the program. Source: doc/protocol/qrexec.md, 9.6 and 10.4.
 */

enum spawn_stdio {
	SPAWN_PAIRS, /* stdin and stdout: two Unix socketpairs; data_open() sets their modes */
	SPAWN_NULL,  /* stdin and stdout: /dev/null (JUST_EXEC) */
};

struct spawn_config {
	const char *path; /* program; no search */
	char *const *argv;
	char *const *env;
	enum spawn_stdio stdio;
	bool pipe_err; /* stderr: a pipe that can be opened again; else inherited */
	uid_t err_uid; /* not 0: the pipe is made theirs, who else could not open it again */
	gid_t err_gid;
	bool new_group; /* own process group, so `kill 0` in it reaches nothing of ours */
	bool is_shell; /* argv is SHELL -c COMMAND: another way of starting takes the user's shell */
	const char *cwd; /* NULL: inherited */
};

struct spawned {
	pid_t pid;  /* to be reaped by the caller (loop_child_add) */
	int in_fd;  /* ours; write the program's stdin here; -1 with SPAWN_NULL */
	int out_fd; /* ours; read the program's stdout here; -1 with SPAWN_NULL */
	int err_fd; /* ours; -1 unless pipe_err */
};

/** spawn_start() - Errors: 0; or an errno value (ENOENT: no such program or interpreter), nothing
 *  left open. */
int spawn_start(const struct spawn_config *config, struct spawned *out) MUST_CHECK;

/**
 * spawn_open_stdio() / spawn_close_stdio() - the descriptors alone, for another way of starting
 * @child:  given: what becomes 0, 1 and 2 of the program; close-on-exec; child[2] is -1 unless
 *          pipe_err
 * @out:    given: our ends; pid is -1
 * Errors: 0; or an errno value, nothing left open.
 */
int spawn_open_stdio(const struct spawn_config *config, int child[3], struct spawned *out)
        MUST_CHECK;
void spawn_close_stdio(int child[3], struct spawned *out);

/**
 * spawn_environment() - environment of a call's program: ours, changed as 10.4 says
 * @command:      rpc: QREXEC_SERVICE_FULL_NAME … are set; shell command: only the removals
 * @remote:       QREXEC_REMOTE_DOMAIN of a shell command (qrexec-client -l); NULL: not set
 * @agent_pid:    QREXEC_AGENT_PID; 0: not set
 * Returns one allocation, free() it; NULL without memory.
 */
char **spawn_environment(const struct service_command *command, const char *remote, pid_t agent_pid)
        MUST_CHECK;

/**
 * spawn_raise_descriptors() - this process may open as many descriptors as the system lets it
 *
 * Programs of spawn_start() keep the limit that was there before: one that uses select(2) breaks
 * with descriptors above 1023, or closes a million of them one by one.
 */
void spawn_raise_descriptors(void);

/** spawn_lower_descriptors() - undoes it, in a copy of the process that is to start programs itself */
void spawn_lower_descriptors(void);

/**
 * spawn_abandon() - a program that cannot be watched: killed with its group, and reaped
 * Waits for the death, which nothing that the program does can delay.
 */
void spawn_abandon(pid_t pid);

/** spawn_status() - a wait status to what EXIT_CODE carries: exit status, or 128 + signal */
int spawn_status(int wait_status);

#endif
