/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FIREWALL_RULE_H
#define SERVICES_ADMIN_FIREWALL_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/admin/fault.h"
#include "services/admin/text.h"

enum firewall_dst { FIREWALL_ANY, FIREWALL_DST4, FIREWALL_DST6, FIREWALL_HOST };

/* One rule, checked. Texts are NUL-terminated copies. */
struct firewall_rule {
	bool accept;
	uint64_t expire; /* seconds since 1970; 0: never */
	enum firewall_dst dst;
	char address[256]; /* with /prefix, or the host's name */
	char proto[8];     /* tcp, udp, icmp, "" */
	bool dns;          /* specialtarget=dns */
	bool ports;
	uint32_t first_port, last_port;
	int icmp_type; /* -1: not given */
	char comment[1024];
};

/**
 * firewall_rule_parse() - a line of options to a rule
 * @line:  changed
 * Trust:   hostile. Errors: false with a fault that says which option is wrong.
 * Source:  doc/protocol/core-model.md, Firewall rules. Test: fuzz/admin_firewall.c
 */
bool firewall_rule_parse(char *line, struct firewall_rule *out, struct fault *f) MUST_CHECK;

/** firewall_rule_print() - as the Admin API shows it; @all false: without expiry and comment */
void firewall_rule_print(const struct firewall_rule *r, bool all, struct text *out);

#endif
