/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FIREWALL_H
#define SERVICES_ADMIN_FIREWALL_H

#include "services/admin/call.h"

/* admin.vm.firewall.*. */

/** firewall_qubesdb_rules() - one line for each rule, without expiry and comment; rules for the other
 *  family and expired ones are empty lines */
void firewall_qubesdb_rules(const struct qube *q, bool v6, struct text *out);

void method_firewall_get(struct call *c);
void method_firewall_reload(struct call *c);
void method_firewall_set(struct call *c);

#endif
