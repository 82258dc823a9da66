/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_CONFINED_H
#define FILECOPY_CONFINED_H

#include "filecopy/receive.h"
#include "lib/base/compat.h"

/**
 * receive_confined() - receive() in a process that can do nothing else
 * @program:  for messages
 * @config:   top_fd and proc_fd are filled in here; the rest is the caller's
 *
 * Takes descriptor 0 for the stream and 1 for the reply; the current folder is the destination. A
 * child gives up everything but making things below the destination and those descriptors, and
 * receives; the caller waits. Errors are told on descriptor 2.
 * Returns the exit status; 1 if the child was killed or could not be confined.
 * Test: tests/confine/filecopy.py, from inside.
 */
int receive_confined(const char *program, struct receive_config *config) MUST_CHECK;

#endif
