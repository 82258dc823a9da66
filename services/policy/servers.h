/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_SERVERS_H
#define SERVICES_POLICY_SERVERS_H

#include <stdbool.h>

#include "lib/base/compat.h"
#include "services/policy/service.h"

/* The sockets of the policy service. Each serves until the process ends. */

#define SERVER_TEXT_CLIENTS  1024U /* connections to policy.sock and the Eval sockets; chosen */
#define SERVER_CALLS_CLIENTS 1024U /* kept connections; chosen */
#define SERVER_CALLS_WAITING 4096U /* questions of one kept connection that wait; chosen */

enum text_kind { TEXT_POLICY, TEXT_EVAL_SIMPLE, TEXT_EVAL_GUI };

/** text_server_start() - policy.sock, policy.EvalSimple or policy.EvalGUI
 *  @fd: a listening stream socket, taken for ever. 0, or -1 with errno. */
int text_server_start(struct service *s, int fd, enum text_kind kind) MUST_CHECK;

/** calls_server_start() - policy.calls.sock; @fd: a listening SOCK_SEQPACKET socket */
int calls_server_start(struct service *s, int fd) MUST_CHECK;

#endif
