/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_NETWORK_H
#define SERVICES_ADMIN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "services/admin/model.h"

/* Addresses of qubes, and what follows from being connected. */

struct qube *network_netvm(const struct qube *q);
/** network_is_on() - has a netvm or provides network */
bool network_is_on(const struct qube *q);
/** network_ip(), … - added to out; false: none */
bool network_ip(const struct qube *q, struct text *out);
bool network_ip6(const struct qube *q, struct text *out);
/** network_loop() - would this netvm close a ring? */
bool network_loop(const struct qube *q, const struct qube *netvm);
/** network_number() - "10.1.2.3" as 0x0a010203; 0: not an address */
uint32_t network_number(const char *ip);

/** network_clients() - fn for each qube that has @q as netvm, by name */
void network_clients(const struct qube *q, void (*fn)(void *arg, struct qube *client), void *arg);

/** network_switch() - a running qube's netvm changed: ground, QubesDB, events; in an open turn */
void network_switch(struct qube *q, struct qube *old, struct qube *new);
/** network_defer() - remember the netvm that a paused qube is still connected to */
void network_defer(struct qube *q, struct qube *old);

#endif
