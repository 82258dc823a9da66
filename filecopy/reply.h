/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_REPLY_H
#define FILECOPY_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/** reply_is_there() - is there an answer, or the end of one, to be read from this descriptor? */
bool reply_is_there(int fd);

/**
 * reply_read() - waits for the receiver's answer, and tells the user what it says
 * @fd:        the channel from the receiver; blocking
 * @program:   for messages
 * @finished:  the stream was sent to its end
 * @crc:       of what was sent
 *
 * Trust: the answer is hostile: nothing of it but a sanitised name is shown or kept.
 * Returns true if everything has arrived.
 */
bool reply_read(int fd, const char *program, bool finished, uint32_t crc) MUST_CHECK;

#endif
