/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_SEND_CONFINED_H
#define FILECOPY_SEND_CONFINED_H

#include "lib/base/compat.h"

/** send_confine() - before anything of the receiver's is read; 0, or -1 after a message.
 *  Test: tests/confine/filecopy.py */
int send_confine(void) MUST_CHECK;

#endif
