/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_FIREWALL_RULE_H
#define TOOLS_QVM_FIREWALL_RULE_H

#include "tools/qvm/qvm.h"

/* A firewall rule: "action=accept proto=tcp dst4=10.0.0.0/8 dstports=443-443 comment=…". */
enum rule_field {
	RULE_ACTION,
	RULE_PROTO,
	RULE_HOST, /* dst4, dst6 or dsthost: rule_host_key() */
	RULE_PORTS,
	RULE_ICMP_TYPE,
	RULE_SPECIAL,
	RULE_EXPIRE,
	RULE_COMMENT,
	RULE_FIELDS,
};

struct rule {
	const char *fields[RULE_FIELDS]; /* NULL: not there */
};

struct rules {
	struct rule *items;
	size_t n;
};

/** rules_decode() - the lines of admin.vm.firewall.Get */
struct rules rules_decode(const char *text);

/** rules_encode() - as the original's client writes them, a line each */
const char *rules_encode(const struct rules *rules);

/** rule_line() - one of these lines, without a newline */
const char *rule_line(const struct rule *rule);

/**
 * rule_set() - sets a field by the key it has in a rule, its value made canonical
 * Errors: NULL, or what is wrong.
 */
const char *rule_set(struct rule *rule, const char *key, const char *value);

bool rule_equal(const struct rule *a, const struct rule *b);

#endif
