/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_COMPLAIN_H
#define FILECOPY_COMPLAIN_H

#include "lib/base/compat.h"

/**
 * complain() - the one line that tells the user why a copy failed, in the form of the original:
 *   PROGRAM: Fatal error: TEXT (error type: text of errno)
 *
 * Control characters in TEXT are escaped. With PROGRESS_TYPE=gui a window shows it as well, by
 * zenity or kdialog, which get it as one argument.
 */
void complain(const char *program, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
