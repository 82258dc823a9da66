/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_DOM0_UPDATE_H
#define SERVICES_DOM0_DOM0_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/compat.h"

/* The parts of qubes-dom0-update: what it tells the update qube, and what it hears from it. */

#define UPDATE_FOLDER "/var/lib/qubes/dom0-updates" /* in the update qube */

/** update_tar_write() - repositories and keys of dom0 as a tar archive; 0 or -1 after a log line */
int update_tar_write(int fd) MUST_CHECK;

struct update_call {
	const char *qube;
	const char *service; /* qubes.VMShell or qubes.VMRootShell */
	const char *script;  /* what the shell reads; it ends with a newline */
	bool with_tar;       /* behind it */
	const char *prefix;  /* before each line that is printed; NULL: none is */
};

/**
 * update_call() - a script in the update qube
 * What it prints is hostile: it goes to our output escaped, line by line.
 * Returns the script's status; 255 if it could not be called.
 */
int update_call(const struct update_call *call) MUST_CHECK;

#endif
