/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firewall rules: admin.vm.firewall.*. Kept as the text that the Admin API shows, one rule a line, which
 * firewall_rule.c makes of what a client sent.
 */
#include "services/admin/firewall.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/admin/firewall_rule.h"
#include "services/admin/network.h"
#include "services/admin/qdb.h"

#define ACCEPT_ALL "action=accept\n"

static const char *rules_of(const struct qube *q)
{
	return q->firewall ? q->firewall : ACCEPT_ALL;
}

/* fn for each rule of the stored text that has not expired; expired ones as NULL. */
static void each(const struct qube *q, void (*fn)(void *arg, const struct firewall_rule *r),
                 void *arg)
{
	AUTO_TEXT copy = {0};
	time_t now = time(NULL);
	char *at, *line;

	text_puts(&copy, rules_of(q));
	at = copy.data;
	while ((line = strsep(&at, "\n")) && at) {
		struct firewall_rule r;
		struct fault f = {0};

		if (!firewall_rule_parse(line, &r, &f))
			continue;
		fn(arg, r.expire && r.expire <= (uint64_t)now ? NULL : &r);
	}
}

static void print(void *arg, const struct firewall_rule *r)
{
	if (r) {
		firewall_rule_print(r, true, arg);
		text_char(arg, '\n');
	}
}

void method_firewall_get(struct call *c)
{
	each(c->dest, print, &c->reply);
}

void method_firewall_set(struct call *c)
{
	AUTO_TEXT rules = {0};
	char *at = c->payload, *line;
	size_t n = 0, i;

	for (i = 0; i < c->payload_len; i++)
		if ((unsigned char)c->payload[i] >= 0x80 || !c->payload[i]) {
			call_refuse(c, E_PROTOCOL, "Rules contain non-ASCII characters");
			return;
		}
	while ((line = strsep(&at, "\n"))) {
		struct firewall_rule r;

		/* The last line's end is not another line. */
		if (!line[0] && !at)
			break;
		n++;
		if (!firewall_rule_parse(line, &r, &c->fault)) {
			char why[sizeof(c->fault.text)];

			snprintf(why, sizeof(why), "%s", c->fault.text);
			call_refuse(c, E_VALUE, "rule %zu: %.900s", n, why);
			return;
		}
		firewall_rule_print(&r, true, &rules);
		text_char(&rules, '\n');
	}
	text_puts(&rules, "");
	row_set(ROW_FIREWALL, c->dest, "", rules.data);
	event_fire(c->dest, "firewall-changed", NULL);
	qdb_firewall(c->dest);
}

void method_firewall_reload(struct call *c)
{
	event_fire(c->dest, "firewall-changed", NULL);
	qdb_firewall(c->dest);
}

struct family {
	bool v6;
	struct text *out;
};

static void print_family(void *arg, const struct firewall_rule *r)
{
	struct family *f = arg;

	if (r && !(f->v6 ? r->dst == FIREWALL_DST4 : r->dst == FIREWALL_DST6))
		firewall_rule_print(r, false, f->out);
	text_char(f->out, '\n');
}

void firewall_qubesdb_rules(const struct qube *q, bool v6, struct text *out)
{
	struct family f = {v6, out};

	each(q, print_family, &f);
}
