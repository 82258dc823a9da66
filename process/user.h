/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROCESS_USER_H
#define PROCESS_USER_H

#include <sys/types.h>

#include "lib/base/compat.h"

/** user_find() - the numbers of a user of /etc/passwd, without the C library's modules; 0, or -1 with errno
 *  (ENOENT: no such user) */
int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid) MUST_CHECK;

/** user_become() - for good, with no other group; 0, or -1 with errno. Capabilities go with it, unless the
 *  process has asked to keep them (PR_SET_KEEPCAPS); so does PR_SET_PDEATHSIG. */
int user_become(uid_t uid, gid_t gid) MUST_CHECK;

/** user_enter() - root becomes that user; without such a user it stays root, and a line says so. Who is not root stays who
 *  it is. 0, or -1 with errno */
int user_enter(const char *name) MUST_CHECK;

/** user_enter_alone() - the same, but the group stays: it is what lets a member in */
int user_enter_alone(const char *name) MUST_CHECK;

#endif
