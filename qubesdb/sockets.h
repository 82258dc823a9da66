/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBESDB_SOCKETS_H
#define QUBESDB_SOCKETS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * The two local sockets of a QubesDB below /var/run/qubes: qubesdb.NAME.sock and qubesdb.NAME.ro.sock, or
 * without a name qubesdb.sock and qubesdb.ro.sock.
 */

/**
 * sockets_listen() - make both
 * @name:  NULL in a qube
 * @mode:  of the one that can write; the other one's is 0666
 * Errors: 0; -1 with errno after a log line; nothing is left then.
 */
int sockets_listen(const char *name, mode_t mode, int *ret_rw, int *ret_ro) MUST_CHECK;
void sockets_remove(const char *name);

/** sockets_link() - dom0's own store under the names that have no name in them; 0 or -1 with errno */
int sockets_link(const char *name) MUST_CHECK;

#endif
