/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_ACCOUNT_H
#define FILECOPY_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/**
 * account_become() - this process is that user from now on, for good
 * @uid:  anybody's for root, else the own one
 * @ret_home:  borrowed for ever: the home folder of the account
 *
 * HOME and USER are set. The folder of a user who stays himself is what HOME says, if it says one.
 * Errors: 0, or -1 after a message.
 */
int account_become(uid_t uid, const char **ret_home) MUST_CHECK;

/** account_number() - digits only, up to max; false: no such number */
bool account_number(const char *text, unsigned long long max, unsigned long long *ret) MUST_CHECK;

#endif
