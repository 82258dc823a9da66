/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_SKERRY_POLICY_LOG_H
#define TOOLS_SKERRY_POLICY_LOG_H

#include "tools/skerry.h"

/** skerry_policy_log() - "skerry policy log": argv[0] is "log" */
int skerry_policy_log(int argc, char **argv, const struct skerry_options *options);

#endif
