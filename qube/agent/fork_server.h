/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_AGENT_FORK_SERVER_H
#define QUBE_AGENT_FORK_SERVER_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The agent's request to a user's fork server: four little-endian 32-bit numbers (type, domain,
 * port, bytes of the command with its NUL), then the command without its user part. The connection
 * stays open while the call lasts. Source: doc/protocol/qrexec.md, sections 3 and 10.9.
 */

#define FORK_SERVER_HEADER 16U
#define FORK_SERVER_SOCKET "/var/run/qubes/qrexec-server.%s.sock"

/** fork_server_path() - the one %s of format replaced; 0, or -1 if it does not fit or user has '/' */
int fork_server_path(char *dst, size_t dst_len, const char *format, const char *user) MUST_CHECK;

/** fork_server_call() - the connection (given) if that user has a fork server; else -1 */
int fork_server_call(const char *format, const char *user, bool just_exec, uint32_t domain,
                     uint32_t port, const char *command) MUST_CHECK;

#endif
