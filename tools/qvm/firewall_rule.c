/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/qvm/firewall_rule.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Keys, in the order in which a rule is written. */
static const struct {
	const char *key;
	enum rule_field field;
} keys[] = {
        {"action", RULE_ACTION},      {"proto", RULE_PROTO},           {"dst4", RULE_HOST},
        {"dst6", RULE_HOST},          {"dsthost", RULE_HOST},          {"dstports", RULE_PORTS},
        {"icmptype", RULE_ICMP_TYPE}, {"specialtarget", RULE_SPECIAL}, {"expire", RULE_EXPIRE},
        {"comment", RULE_COMMENT},
};

static const enum rule_field write_order[] = {RULE_ACTION, RULE_PROTO,     RULE_HOST,
                                              RULE_PORTS,  RULE_ICMP_TYPE, RULE_SPECIAL,
                                              RULE_EXPIRE, RULE_COMMENT};

static bool is_address(int family, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(family, arena_copy(text, strcspn(text, "/")), address) == 1;
}

static bool is_prefix(const char *text, long most)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*text))
		return false;
	n = strtol(text, &end, 10);
	return *end == '\0' && n <= most;
}

static const char *host_key(const char *value)
{
	return is_address(AF_INET, value)    ? "dst4"
	       : is_address(AF_INET6, value) ? "dst6"
	                                     : "dsthost";
}

/* An address with its prefix; what is no address is a host name. */
static const char *host_set(struct rule *rule, const char *value)
{
	const char *slash = strchr(value, '/');
	bool v4 = is_address(AF_INET, value), v6 = is_address(AF_INET6, value);

	if ((v4 || v6) && !slash)
		value = arena_printf("%s/%d", value, v4 ? 32 : 128);
	else if ((v4 || v6) && !is_prefix(slash + 1, v4 ? 32 : 128))
		return "netmask is not valid";
	else if (!v4 && !v6 && value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-._")])
		return "host name may have only a-z, 0-9, -, . and _";
	rule->fields[RULE_HOST] = value;
	return NULL;
}

static bool port_parse(const char *text, size_t len, long *ret)
{
	char *copy = arena_copy(text, len), *end;

	*ret = strtol(copy, &end, 10);
	return len > 0 && isdigit((unsigned char)*copy) && *end == '\0' && *ret <= 65535;
}

static const char *ports_set(struct rule *rule, const char *value)
{
	size_t len = strcspn(value, "-");
	long from, to;

	if (!port_parse(value, len, &from) ||
	    !port_parse(value[len] ? value + len + 1 : value,
	                value[len] ? strlen(value) - len - 1 : len, &to))
		return "ports are N or N-M, up to 65535";
	if (from > to)
		return "range of ports runs backwards";
	rule->fields[RULE_PORTS] = arena_printf("%ld-%ld", from, to);
	return NULL;
}

static bool is_one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

const char *rule_set(struct rule *rule, const char *key, const char *value)
{
	static const char *const actions[] = {"accept", "drop", "forward", NULL};
	static const char *const protos[] = {"tcp", "udp", "icmp", NULL};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (keys[i].field == RULE_HOST)
			return host_set(rule, value);
		if (keys[i].field == RULE_PORTS)
			return ports_set(rule, value);
		if (keys[i].field == RULE_ACTION && !is_one_of(value, actions))
			return "action is accept or drop";
		if (keys[i].field == RULE_PROTO && !is_one_of(value, protos))
			return "proto is tcp, udp or icmp";
		rule->fields[keys[i].field] = value;
		return NULL;
	}
	return "no such option of a rule";
}

static struct rule rule_decode(const char *line)
{
	struct rule rule = {0};

	while (*line) {
		size_t len = strcspn(line, " ");
		const char *equals = memchr(line, '=', len);

		if (strncmp(line, "comment=", 8) == 0) { /* takes the rest of the line */
			rule.fields[RULE_COMMENT] = line + 8;
			break;
		}
		if (equals) {
			const char *key = arena_copy(line, (size_t)(equals - line));
			const char *value =
			        arena_copy(equals + 1, (size_t)(line + len - equals - 1));

			/* What the service stored is shown as it is. */
			for (size_t i = 0; i < ARRAY_LEN(keys); i++)
				if (strcmp(keys[i].key, key) == 0)
					rule.fields[keys[i].field] = value;
		}
		line += len + (line[len] != '\0');
	}
	return rule;
}

struct rules rules_decode(const char *text)
{
	struct text_list lines = text_list_lines(text);
	struct rules rules = {.items = arena_alloc((lines.n + 1) * sizeof(*rules.items))};

	for (size_t i = 0; i < lines.n; i++)
		rules.items[rules.n++] = rule_decode(lines.items[i]);
	return rules;
}

static const char *key_of(enum rule_field field, const char *value)
{
	if (field == RULE_HOST)
		return host_key(value);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].field == field)
			return keys[i].key;
	return "";
}

const char *rule_line(const struct rule *rule)
{
	struct text_list words = {0};

	for (size_t i = 0; i < ARRAY_LEN(write_order); i++) {
		const char *value = rule->fields[write_order[i]];

		if (value)
			text_list_add(&words,
			              arena_printf("%s=%s", key_of(write_order[i], value), value));
	}
	return text_list_join(&words, " ");
}

const char *rules_encode(const struct rules *rules)
{
	struct text_list lines = {0};

	for (size_t i = 0; i < rules->n; i++)
		text_list_add(&lines, arena_printf("%s\n", rule_line(&rules->items[i])));
	return text_list_join(&lines, "");
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
	for (size_t i = 0; i < RULE_FIELDS; i++) {
		if (i == RULE_COMMENT)
			continue;
		if (!a->fields[i] != !b->fields[i] ||
		    (a->fields[i] && strcmp(a->fields[i], b->fields[i]) != 0))
			return false;
	}
	return true;
}
