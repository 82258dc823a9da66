/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_SERVICE_H
#define CALL_SERVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * What a command names and how it runs: the command grammar, the lookup of services, their
 * configuration, and starting them. Used by the agent, the fork server, qrexec-client (dom0 to dom0)
 * and the keeper's runner. Source: doc/protocol/qrexec.md, section 10.
 */

#define SERVICE_USER_MAX 256

struct service_command {
	char *line; /* the whole, as parsed; owned; the borrowed parts point into it */
	char user[SERVICE_USER_MAX]; /* "" if the command has no user part (dom0) */
	bool dom0;                   /* as parsed for */
	bool nogui;
	bool is_rpc;            /* QUBESRPC …; else a shell command */
	const char *command;    /* borrowed: after user: and nogui: */
	const char *descriptor; /* rpc; borrowed: all after "QUBESRPC ", NUL-terminated */
	size_t descriptor_len;  /* with the NUL */
	char *full_name;        /* rpc: first token exactly as received; owned */
	char *service;          /* rpc: name part; owned */
	char *argument;         /* rpc: after '+'; NULL if there was no '+'; owned */
	char *source;           /* rpc: owned */
	unsigned int n_tokens;  /* rpc: an executable takes 2 (VM) or 4 (dom0), others any number */
	char *target_type;      /* dom0, 4 tokens: "name" or "keyword"; else NULL; owned */
	char *target;           /* dom0, 4 tokens: owned */
};

/**
 * service_parse() - a command line to its parts
 * @line:  borrowed for the call
 * @dom0:  true: no user part, four tokens; false: user: required, two tokens
 * Errors: 0; QREXEC_EXIT_PROBLEM (125): not of the grammar. service_command_fini() is due either way.
 */
int service_parse(const char *line, bool dom0, struct service_command *out) MUST_CHECK;
void service_command_fini(struct service_command *command);

enum service_kind { SERVICE_EXECUTABLE, SERVICE_SOCKET, SERVICE_TCP };

struct service_settings { /* a service's configuration file; defaults are all zero */
	bool wait_for_session;
	bool skip_descriptor;
	bool exit_on_client_eof;
	bool exit_on_service_eof;
	char force_user[SERVICE_USER_MAX]; /* "" : not forced */
};

/* How long qubes.WaitForSession may take before the services that wait run without it. Chosen. */
#define SERVICE_SESSION_MS 300000

#define SERVICE_CONFIG_MAX (64U * 1024) /* bytes of a configuration file; chosen */

struct service_found {
	enum service_kind kind;
	char path[PATH_MAX]; /* executable or socket */
	char host[256];      /* tcp: numeric address, checked */
	char port[8];        /* tcp: decimal */
	struct service_settings settings;
};

/**
 * service_settings_parse() - the text of a configuration file; pure
 * @data:  borrowed; any bytes
 * @ret_line: line number of the first fault
 * Errors: 0; -1: not of the grammar.
 */
int service_settings_parse(const char *data, size_t len, struct service_settings *out,
                           unsigned int *ret_line) MUST_CHECK;

/**
 * service_find() - look up an rpc command and its configuration
 * @path_list:    NULL: $QREXEC_SERVICE_PATH or the default
 * @config_list:  NULL: $QUBES_RPC_CONFIG_PATH or the default
 * Errors: 0; 127 nothing found; 125 anything else (logged with the path and the cause).
 */
int service_find(const struct service_command *command, const char *path_list,
                 const char *config_list, struct service_found *out) MUST_CHECK;

#endif
