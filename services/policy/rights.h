/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_RIGHTS_H
#define SERVICES_POLICY_RIGHTS_H

#include <stddef.h>

#include "lib/base/compat.h"
#include "services/policy/policy.h"

/**
 * rights_drop() - what the deciding process keeps: its descriptors, and reading policy
 * @inputs:  what the policy was read from so far; the folders of included files stay readable
 *
 * Readable are the folders above the policy directories (so that one which is made again can be read)
 * and those of files included from elsewhere. A load that needs another place later fails with
 * EACCES; the process then ends with DECIDER_RENEW, and a fresh one reads it before it drops its
 * rights. So who takes the process over can have it replaced, but cannot choose what is read.
 * Errors: 0, or -1 after a log line; the caller must exit.
 * Test:   tests/confine/policy.py
 */
int rights_drop(const struct policy_place *place, const struct policy_inputs *inputs) MUST_CHECK;

/**
 * recorder_confine(), facts_confine(), prompter_confine() - the same for the helpers
 * @path:  the decision log, absolute; NULL: none
 * @file:  of --system-info, absolute; NULL: none
 * @client:  the qrexec-client to run, absolute; NULL: none was found
 * Errors: 0, or -1 after a log line; the caller must exit.
 * Test:   tests/confine/policy.py
 */
int recorder_confine(const char *path) MUST_CHECK;
int facts_confine(const char *file) MUST_CHECK;
int prompter_confine(const char *client) MUST_CHECK;

#endif
