/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_PROGRAM_H
#define SERVICES_BACKUP_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/** program_start() - a program of the system with these for input and output; @secret: what it reads from
 *  descriptor 3, or -1. Its pid, or -1 with errno. */
pid_t program_start(const char *const argv[], int in, int out, int secret) MUST_CHECK;

/** program_wait() - 0 if it ended with status 0; else -1 */
int program_wait(pid_t pid) MUST_CHECK;

/**
 * scrypt_run() - scrypt(1) over two files in memory
 * @phrase:  given through a pipe: it stands in no list of processes and in no environment
 * @log_n:   0: scrypt chooses by the time it takes; else the cost, for tests
 * Errors: 0; -1: the program could not be run, or (decrypting) the phrase or the data are wrong.
 */
int scrypt_run(bool encrypt, int in, int out, const char *phrase, unsigned int log_n) MUST_CHECK;

#endif
