/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_COPY_COMMAND_H
#define FILECOPY_COPY_COMMAND_H

#include <stdbool.h>

#include "lib/base/compat.h"

/* What the commands that copy have in common, in qubes and in dom0. */

/** copy_strip() - no slash at the end of a path, in place; "/" stays */
void copy_strip(char *path);

/**
 * copy_find() - a program that is started: beside this one, in the build tree, or where it is installed
 * @places:  relative ones, NULL-terminated, as path_program() wants them
 * Returns an absolute path, to be freed, or NULL after a message.
 */
char *copy_find(const char *program, const char *const *places, const char *installed) MUST_CHECK;

/** copy_wait() - the exit status of a child as a shell gives it */
int copy_wait(int pid);

#endif
