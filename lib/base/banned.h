/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_BANNED_H
#define LIB_BASE_BANNED_H

/*
 * Functions whose misuse has a long record. The build includes this file before every source, so a
 * use does not compile. The headers that declare them come first, for poisoning refuses the name
 * from here on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Macros in some fortified C libraries. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol atoll atof
#pragma GCC poison popen tmpnam mktemp tempnam strtok ctime asctime gmtime localtime
#pragma GCC poison usleep

/* An ordinary word that the policy engine names its table of qubes with: only the call is banned. */
#define system(...) system_is_banned_for_it_runs_a_shell

#endif
