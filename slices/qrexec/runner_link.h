/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_RUNNER_LINK_H
#define SLICES_QREXEC_RUNNER_LINK_H

#include "slices/qrexec/keeper.h"

/*
 * The runner: one process, started at the first call to dom0, that runs the services for this qube
 * and moves their bytes. It can ask the keeper for nothing. Packets on a SOCK_SEQPACKET pair:
 *   keeper to runner: u32 qube's domid | u32 port | command, NUL-terminated
 *   runner to keeper: one byte, 0: a service has ended
 * When the keeper ends, the runner finishes what runs and ends.
 */

#define RUNNER_HEAD_LEN    8U
#define RUNNER_COMMAND_MAX (QREXEC_NAME_MAX + 512U)

/**
 * runner_link_run() - run a service
 * @command:  "QUBESRPC …", four tokens
 * Errors: 0; -1: LIMIT_DOM0_SERVICES run, or the runner does not take it.
 */
int runner_link_run(struct keeper *k, uint32_t port, const char *command) MUST_CHECK;

void runner_link_stop(struct keeper *k);

#endif
