/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_AGENT_H
#define FILECOPY_AGENT_H

#include "lib/base/compat.h"

/**
 * filecopy_agent_main() - main() of qfile-agent and qfile-dom0-agent
 * The stream goes to descriptor 1, the answer comes from descriptor 0. Manual: qfile-agent(1).
 *
 * QFILE_RESULT_FD, if set, is a descriptor that gets "done\n" once the receiver has confirmed
 * everything, else "failed\n": the exit status of a local program of a call does not reach who made the call.
 */
int filecopy_agent_main(const char *program, int argc, char **argv) MUST_CHECK;

#endif
