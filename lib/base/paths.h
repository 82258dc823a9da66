/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_PATHS_H
#define LIB_BASE_PATHS_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * One prefix moves every path that Qubes software expects (/run/qubes, /etc/qubes, /etc/qubes-rpc,
 * /var/log/qubes …): for tests, and for a system that runs as an ordinary user. It comes from
 * --root=DIR or from SKERRY_ROOT; empty means the real root.
 */

/** paths_set_root() - the prefix, borrowed for ever; also put into the environment for children */
void paths_set_root(const char *root);

/** paths_root() - the prefix without a final slash; "" by default */
const char *paths_root(void);

/**
 * paths_find_root() - for a command that a user starts: where the system is whose prefix nobody gave
 *
 * SKERRY_ROOT or an earlier paths_set_root() stay. Otherwise root gets the real root; an ordinary user gets
 * ${XDG_DATA_HOME:-~/.local/share}/skerry if that folder exists, else the real root too.
 * Errors: 0, or -1 with errno ENAMETOOLONG.
 */
int paths_find_root(void) MUST_CHECK;

/**
 * paths_user_root() - where the system of an ordinary user is kept, whether it exists or not
 * Errors: 0, or -1 with errno ENAMETOOLONG, ENOENT (no home folder is known).
 */
int paths_user_root(char *dst, size_t dst_len) MUST_CHECK;

/**
 * path_make() - prefix + absolute path (+ "/" + name if name is not NULL)
 * Errors: 0, or -1 with errno ENAMETOOLONG.
 */
int path_make(char *dst, size_t dst_len, const char *path, const char *name) MUST_CHECK;

/**
 * path_program() - a program of ours that another one starts: beside the running program, in the
 * sub-folders of a build tree, or in the installed libexec folder, the first that exists
 * @places:  NULL-terminated list of relative places to look at, as seen from the running program
 * Errors: 0, or -1 with errno ENOENT, ENAMETOOLONG.
 */
int path_program(char *dst, size_t dst_len, const char *const *places) MUST_CHECK;

#endif
