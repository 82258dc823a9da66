/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_REMOVE_H
#define FILECOPY_REMOVE_H

#include <stdbool.h>
#include <time.h>

#include "lib/base/compat.h"

/**
 * remove_began() - the moment from which on a change of a file can be told by its time
 * To be called before the copy begins. Waits for the next tick of the clock that stamps files: what
 * happens within one tick bears one time.
 * Errors: 0, or -1 with errno.
 */
int remove_began(struct timespec *ret_began) MUST_CHECK;

/**
 * remove_moved() - takes away what was copied, and nothing else
 * @path:        as it was given to the sender, without a slash at its end
 * @began:       of remove_began(): what was changed since may not be what was sent, and stays
 * @keep_links:  links were passed over, and stay
 *
 * What is no file, link or folder was never sent, and stays. Returns true if nothing stays; else
 * each thing that does is told on standard error.
 */
bool remove_moved(const char *program, const char *path, const struct timespec *began,
                  bool keep_links) MUST_CHECK;

#endif
