/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program that qrexec-client -l joins to a command in a qube. It is the user's own choice. */
#include "tools/qrexec_client_local.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "call/spawn.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

int local_program_find(const char *line, const char *remote, struct local_program *out)
{
	int status;

	*out = (struct local_program){.remote = remote};
	status = service_parse(line, true, &out->command);
	if (status == 0 && out->command.is_rpc)
		status = service_find(&out->command, NULL, NULL, &out->found);
	if (status == 0 && out->command.is_rpc && out->found.kind == SERVICE_TCP) {
		LOG("-l: a TCP service cannot be the local side");
		status = QREXEC_EXIT_PROBLEM;
	}
	return status;
}

static int start_socket(const struct local_program *local, struct caller_config *config)
{
	OWNED_FD int sock = fd_connect_unix(local->found.path, SOCK_STREAM);

	if (sock < 0 || fd_set_blocking(sock, false))
		return errno;
	if (!local->found.settings.skip_descriptor) {
		config->lead = local->command.descriptor;
		config->lead_len = local->command.descriptor_len;
	}
	config->in_fd = fd_take(&sock);
	config->out_fd = config->in_fd;
	return 0;
}

static int start_program(const struct local_program *local, struct caller_config *config)
{
	const char *argv[4] = {"sh", "-c", NULL, NULL};
	struct spawn_config spawn = {.path = "/bin/sh", .stdio = SPAWN_PAIRS};
	char **env = spawn_environment(&local->command, local->remote, 0);
	struct spawned spawned;
	int error;

	if (!env)
		return ENOMEM;
	if (local->command.is_rpc) {
		spawn.path = local->found.path;
		argv[0] = local->found.path;
		argv[1] = local->command.argument && local->command.argument[0] != '\0'
		                  ? local->command.argument
		                  : NULL;
	} else {
		argv[2] = local->command.command;
	}
	spawn.argv = (char *const *)(uintptr_t)argv;
	spawn.env = env;
	error = spawn_start(&spawn, &spawned);
	free(env);
	if (error)
		return error;
	config->pid = spawned.pid;
	config->in_fd = spawned.in_fd;
	config->out_fd = spawned.out_fd;
	return 0;
}

int local_program_start(const struct local_program *local, struct caller_config *config)
{
	config->stdio = CALLER_PROGRAM;
	config->pid = -1;
	if (local->command.is_rpc && local->found.kind == SERVICE_SOCKET)
		return start_socket(local, config);
	return start_program(local, config);
}

void local_program_fini(struct local_program *local)
{
	service_command_fini(&local->command);
}
