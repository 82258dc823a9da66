/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command grammar: [user:][nogui:]command, and what QUBESRPC commands are made of. In a qube
 * the line comes from dom0, which is trusted, but a service name in it was chosen by another qube.
 * Source: doc/protocol/qrexec.md, 10.1.
 */
#include "call/service.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "proto/qrexec.h"

#define RPC_WORD "QUBESRPC"

static int parse_user(const char **line, struct service_command *out)
{
	const char *colon = strchr(*line, ':');
	size_t len = colon ? (size_t)(colon - *line) : 0;

	if (len == 0 || len >= sizeof(out->user)) {
		LOG("a command without a user part");
		return QREXEC_EXIT_PROBLEM;
	}
	memcpy(out->user, *line, len);
	*line = colon + 1;
	return 0;
}

/* The service and argument of the first token. */
static int parse_name(const char *token, size_t len, struct service_command *out)
{
	const char *plus = memchr(token, '+', len);
	size_t name_len = plus ? (size_t)(plus - token) : len;

	if (len >= QREXEC_NAME_MAX || name_len == 0 || name_len > QREXEC_SERVICE_NAME_MAX ||
	    memchr(token, '/', name_len)) {
		LOG("a service name that is empty, too long or a path");
		return QREXEC_EXIT_PROBLEM;
	}
	out->full_name = strndup(token, len);
	out->service = strndup(token, name_len);
	if (plus)
		out->argument = strndup(plus + 1, len - name_len - 1);
	return out->full_name && out->service && (!plus || out->argument) ? 0 : QREXEC_EXIT_PROBLEM;
}

static int parse_target(const char *type, const char *target, struct service_command *out)
{
	out->target_type = strndup(type, (size_t)(target - 1 - type));
	out->target = strdup(target);
	if (!out->target_type || !out->target)
		return QREXEC_EXIT_PROBLEM;
	if (strcmp(out->target_type, "name") != 0 && strcmp(out->target_type, "keyword") != 0) {
		LOG("a target type that is neither name nor keyword");
		return QREXEC_EXIT_PROBLEM;
	}
	return 0;
}

static int parse_rpc(const char *rest, struct service_command *out)
{
	const char *source;
	const char *third = NULL;
	const char *fourth = NULL;
	size_t len;

	if (*rest != ' ' || !(source = strchr(rest + 1, ' '))) {
		LOG("a service call without a service or a source");
		return QREXEC_EXIT_PROBLEM;
	}
	rest++;
	if (parse_name(rest, (size_t)(source - rest), out))
		return QREXEC_EXIT_PROBLEM;
	source++;
	len = strcspn(source, " ");
	if (len == 0) {
		LOG("a service call without a source");
		return QREXEC_EXIT_PROBLEM;
	}
	out->source = strndup(source, len);
	if (!out->source)
		return QREXEC_EXIT_PROBLEM;
	out->descriptor = rest;
	out->descriptor_len = strlen(rest) + 1;
	out->n_tokens = 1;
	for (const char *p = rest; (p = strchr(p, ' ')); p++) {
		out->n_tokens++;
		if (out->n_tokens == 3)
			third = p + 1;
		else if (out->n_tokens == 4)
			fourth = p + 1;
	}
	return out->dom0 && out->n_tokens == 4 ? parse_target(third, fourth, out) : 0;
}

int service_parse(const char *line, bool dom0, struct service_command *out)
{
	*out = (struct service_command){.dom0 = dom0, .line = strdup(line)};
	if (!out->line)
		return QREXEC_EXIT_PROBLEM;
	line = out->line;
	if (!dom0 && parse_user(&line, out))
		return QREXEC_EXIT_PROBLEM;
	if (strncmp(line, "nogui:", 6) == 0) {
		out->nogui = true;
		line += 6;
	}
	out->command = line;
	out->is_rpc = strncmp(line, RPC_WORD, strlen(RPC_WORD)) == 0;
	return out->is_rpc ? parse_rpc(line + strlen(RPC_WORD), out) : 0;
}

void service_command_fini(struct service_command *command)
{
	free(command->line);
	free(command->full_name);
	free(command->service);
	free(command->argument);
	free(command->source);
	free(command->target_type);
	free(command->target);
	*command = (struct service_command){0};
}
