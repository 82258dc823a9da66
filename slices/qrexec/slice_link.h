/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_SLICE_LINK_H
#define SLICES_QREXEC_SLICE_LINK_H

#include "slices/qrexec/keeper.h"

/**
 * slice_link_start() - a new slice for an open channel
 * @vchan:  taken, on failure too
 * Errors: 0, or -1 with errno.
 */
int slice_link_start(struct keeper *k, struct vchan *vchan) MUST_CHECK;

/** slice_link_stop() - close the connection; the process ends by itself and is reaped */
void slice_link_stop(struct keeper *k);

/**
 * slice_link_command() - EXEC_CMDLINE, JUST_EXEC or SERVICE_CONNECT to the agent
 * Errors: 0; -1: no slice, or more than LIMIT_OUTPUT_QUEUE bytes wait for an agent that does not read.
 */
int slice_link_command(struct keeper *k, const struct keeper_command *command) MUST_CHECK;

/** slice_link_refuse() - SERVICE_REFUSED to the agent; always queued: there is one a request */
void slice_link_refuse(struct keeper *k, const uint8_t ident[QREXEC_IDENT_LEN], uint64_t call);

#endif
