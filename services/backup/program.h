/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_PROGRAM_H
#define SERVICES_BACKUP_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/** program_start() - a program of the system with these for input and output; @env: NAME=value beside a
 *  path and a locale, at most PROGRAM_ENV_MAX, NULL-terminated; NULL: none; @secret: what it reads from
 *  descriptor 3, or -1. Its pid, or -1 with errno. */
#define PROGRAM_ENV_MAX 8
pid_t program_start(const char *const argv[], const char *const env[], int in, int out, int secret)
        MUST_CHECK;

/** program_wait() - 0 if it ended with status 0; else -1 */
int program_wait(pid_t pid) MUST_CHECK;

/** program_end() - kills it, whatever it was at */
void program_end(pid_t pid);

/**
 * scrypt_run() - scrypt(1) over two files in memory
 * @phrase:  given through a pipe: it stands in no list of processes and in no environment
 * @log_n:   0: scrypt chooses by the time it takes; else the cost, for tests
 * Errors: 0; -1: the program could not be run, or (decrypting) the phrase or the data are wrong.
 */
int scrypt_run(bool encrypt, int in, int out, const char *phrase, unsigned int log_n) MUST_CHECK;

#endif
