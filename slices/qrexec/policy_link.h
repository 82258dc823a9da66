/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_POLICY_LINK_H
#define SLICES_QREXEC_POLICY_LINK_H

#include "slices/qrexec/request.h"

/*
 * Asking policy. With --policy-program that program and nothing else; without it the kept connection
 * to the policy service, else the text socket of the original, else no answer: refused. There is no
 * second opinion when the first one is malformed.
 */

/** policy_ask() - request_verdict() follows, at once or later */
void policy_ask(struct request *r);

/** policy_forget() - the request ends: its question is withdrawn */
void policy_forget(struct request *r);

void policy_link_init(struct keeper *k);
void policy_link_stop(struct keeper *k);

/* policy_text.c: one question, one connection or one program. */

/** policy_text_ask() - 0, or -1: the text socket cannot be connected */
int policy_text_ask(struct request *r) MUST_CHECK;
/** policy_text_program() - 0, or -1 with errno: it could not be started */
int policy_text_program(struct request *r) MUST_CHECK;
void policy_text_cancel(struct text_ask *ask);
/** policy_text_stop() - when the keeper ends: programs were killed, their ends are not waited for */
void policy_text_stop(struct keeper *k);
/** policy_program_ended() - room for the next program */
void policy_program_ended(struct keeper *k);

#endif
