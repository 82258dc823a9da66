/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QREXEC_CLIENT_LOCAL_H
#define TOOLS_QREXEC_CLIENT_LOCAL_H

#include "call/caller.h"
#include "call/service.h"
#include "lib/base/compat.h"

/* What -l names: a shell command, or a service of dom0. */
struct local_program {
	struct service_command command;
	struct service_found found; /* if command.is_rpc */
	const char *remote;         /* QREXEC_REMOTE_DOMAIN; borrowed */
};

/**
 * local_program_find() - look at @line before anything is asked of the qube
 * Errors: 0; 125 or 127, what the program exits with (logged). local_program_fini() is due anyway.
 */
int local_program_find(const char *line, const char *remote, struct local_program *out) MUST_CHECK;

/** local_program_start() - fills the local ends of @config (given). Errors: 0; an errno value. */
int local_program_start(const struct local_program *local, struct caller_config *config) MUST_CHECK;

void local_program_fini(struct local_program *local);

#endif
