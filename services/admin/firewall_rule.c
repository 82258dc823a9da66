/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One firewall rule: text to checked struct and back. Pure. Contract: firewall_rule.h. */
#include "services/admin/firewall_rule.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/request.h"

#define COMMENT_SET SET_LETTERS SET_DIGITS " :;,./-_[]"
#define HOST_SET    "abcdefghijklmnopqrstuvwxyz" SET_DIGITS "-._"
#define VALUE_SET   SET_LETTERS SET_DIGITS ":;,./-_[]"

/* What was given so far: an option may come once. */
enum seen {
	SEEN_ACTION = 1,
	SEEN_DST = 2,
	SEEN_PROTO = 4,
	SEEN_PORTS = 8,
	SEEN_ICMP = 16,
	SEEN_SPECIAL = 32,
	SEEN_EXPIRE = 64,
	SEEN_COMMENT = 128
};

static bool decimal(const char *s, uint64_t max, uint64_t *ret)
{
	if (!s[0] || strlen(s) > 12 || !request_safe(s, SET_DIGITS))
		return false;
	*ret = strtoull(s, NULL, 10);
	return *ret <= max;
}

static bool take_dst(struct firewall_rule *r, const char *value, struct fault *f)
{
	struct in6_addr a;
	char address[256];
	const char *slash = strchr(value, '/');
	size_t len = slash ? (size_t)(slash - value) : strlen(value);
	uint64_t prefix;

	if (len == 0 || strlen(value) >= sizeof(address) - 4)
		return fault_set(f, E_VALUE, "invalid destination");
	memcpy(address, value, len);
	address[len] = 0;
	if (inet_pton(AF_INET6, address, &a) == 1)
		r->dst = FIREWALL_DST6;
	else if (inet_pton(AF_INET, address, &a) == 1)
		r->dst = FIREWALL_DST4;
	else
		r->dst = FIREWALL_HOST;
	if (r->dst == FIREWALL_HOST) {
		if (slash || !request_safe(value, HOST_SET))
			return fault_set(f, E_VALUE, "invalid host name in destination: '%.100s'",
			                 value);
		memcpy(r->address, address, len + 1);
		return true;
	}
	prefix = r->dst == FIREWALL_DST6 ? 128 : 32;
	if (slash && !decimal(slash + 1, prefix, &prefix))
		return fault_set(f, E_VALUE, "invalid prefix in destination: '%.100s'", value);
	snprintf(r->address, sizeof(r->address), "%.240s/%u", address, (unsigned int)prefix);
	return true;
}

static bool take_ports(struct firewall_rule *r, char *value, struct fault *f)
{
	char *dash = strchr(value, '-');
	uint64_t first, last;

	if (dash)
		*dash = 0;
	if (!decimal(value, 65535, &first) || (dash && !decimal(dash + 1, 65535, &last)))
		return fault_set(f, E_VALUE, "invalid dstports: a number or N-M of 0 to 65535");
	if (!dash)
		last = first;
	if (first > last)
		return fault_set(f, E_VALUE,
		                 "invalid dstports: the first is greater than the last");
	r->ports = true;
	r->first_port = (uint32_t)first;
	r->last_port = (uint32_t)last;
	return true;
}

static bool take_proto(struct firewall_rule *r, const char *value, struct fault *f)
{
	if (strcmp(value, "tcp") != 0 && strcmp(value, "udp") != 0 && strcmp(value, "icmp") != 0)
		return fault_set(f, E_VALUE, "invalid proto: tcp, udp or icmp");
	memcpy(r->proto, value, strlen(value) + 1);
	return true;
}

/* One option into the rule; *seen gets its bit. */
static bool take(struct firewall_rule *r, const char *key, char *value, unsigned int *seen,
                 struct fault *f)
{
	unsigned int bit = 0;
	uint64_t n = 0;
	bool ok = true;

	if (!request_safe(value, VALUE_SET))
		return fault_set(f, E_VALUE, "invalid characters in the value of %.20s", key);
	if (strcmp(key, "action") == 0) {
		bit = SEEN_ACTION;
		r->accept = strcmp(value, "accept") == 0;
		if (!r->accept && strcmp(value, "drop") != 0)
			return fault_set(f, E_VALUE, "invalid action: accept or drop");
	} else if (strcmp(key, "dst4") == 0 || strcmp(key, "dst6") == 0 ||
	           strcmp(key, "dsthost") == 0 || strcmp(key, "dstname") == 0) {
		bit = SEEN_DST;
		ok = take_dst(r, value, f);
	} else if (strcmp(key, "proto") == 0) {
		bit = SEEN_PROTO;
		ok = take_proto(r, value, f);
	} else if (strcmp(key, "dstports") == 0) {
		bit = SEEN_PORTS;
		ok = take_ports(r, value, f);
	} else if (strcmp(key, "icmptype") == 0) {
		bit = SEEN_ICMP;
		if (!decimal(value, 255, &n))
			return fault_set(f, E_VALUE, "invalid icmptype: 0 to 255");
		r->icmp_type = (int)n;
	} else if (strcmp(key, "specialtarget") == 0) {
		bit = SEEN_SPECIAL;
		r->dns = strcmp(value, "dns") == 0;
		if (!r->dns)
			return fault_set(f, E_VALUE, "invalid specialtarget: dns");
	} else if (strcmp(key, "expire") == 0) {
		bit = SEEN_EXPIRE;
		if (!decimal(value, 999999999999ULL, &r->expire) || r->expire == 0)
			return fault_set(f, E_VALUE, "invalid expire: seconds since 1970");
	} else {
		return fault_set(f, E_VALUE, "unknown option: '%.40s'", key);
	}
	if (*seen & bit)
		return fault_set(f, E_VALUE, "option given twice: '%.40s'", key);
	*seen |= bit;
	return ok;
}

static bool fits(const struct firewall_rule *r, unsigned int seen, struct fault *f)
{
	bool tcp_udp = strcmp(r->proto, "tcp") == 0 || strcmp(r->proto, "udp") == 0;

	if (!(seen & SEEN_ACTION))
		return fault_set(f, E_VALUE, "the action is missing");
	if (r->ports && !tcp_udp)
		return fault_set(f, E_VALUE, "dstports goes with proto=tcp or proto=udp only");
	if (r->icmp_type >= 0 && strcmp(r->proto, "icmp") != 0)
		return fault_set(f, E_VALUE, "icmptype goes with proto=icmp only");
	return true;
}

bool firewall_rule_parse(char *line, struct firewall_rule *out, struct fault *f)
{
	unsigned int seen = 0;
	char *at = line, *word;

	*out = (struct firewall_rule){.icmp_type = -1};
	if (!line[0])
		return fault_set(f, E_VALUE, "empty line");
	while (at) {
		char *equals;

		if (strncmp(at, "comment=", 8) == 0) {
			if (!request_safe(at + 8, COMMENT_SET) ||
			    strlen(at + 8) >= sizeof(out->comment))
				return fault_set(f, E_VALUE, "invalid characters in the comment");
			memcpy(out->comment, at + 8, strlen(at + 8) + 1);
			break;
		}
		word = strsep(&at, " ");
		equals = strchr(word, '=');
		if (!equals)
			return fault_set(f, E_VALUE, "an option has no value: '%.40s'", word);
		*equals = 0;
		if (!take(out, word, equals + 1, &seen, f))
			return false;
	}
	return fits(out, seen, f);
}

void firewall_rule_print(const struct firewall_rule *r, bool all, struct text *out)
{
	static const char *const keys[] = {
	        [FIREWALL_DST4] = "dst4", [FIREWALL_DST6] = "dst6", [FIREWALL_HOST] = "dsthost"};

	text_printf(out, "action=%s", r->accept ? "accept" : "drop");
	if (all && r->expire)
		text_printf(out, " expire=%" PRIu64, r->expire);
	if (r->dst != FIREWALL_ANY)
		text_printf(out, " %s=%s", keys[r->dst], r->address);
	if (r->proto[0])
		text_printf(out, " proto=%s", r->proto);
	if (r->dns)
		text_puts(out, " specialtarget=dns");
	if (r->ports)
		text_printf(out, " dstports=%" PRIu32 "-%" PRIu32, r->first_port, r->last_port);
	if (r->icmp_type >= 0)
		text_printf(out, " icmptype=%d", r->icmp_type);
	if (all && r->comment[0])
		text_printf(out, " comment=%s", r->comment);
}
