/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-firewall */
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/firewall_rule.h"

static const char *const actions[] = {"add", "del", "list", "reset", NULL};

enum { RELOAD = ARG_OWN, RAW, VMNAME, ACTION };

static const struct arg table[] = {
        ARGS_COMMON,
        [RELOAD] = {ARG_FLAG,
                    {"--reload", "-r"},
                    .help = "apply the rules again; also where there is no change"},
        [RAW] = {ARG_FLAG, {"--raw"}, .help = "show rules as they are written, not as a table"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        [ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                    .help = "add, del, list (the default), reset; add and del have --help"},
        {ARG_END},
};

static const struct args_program program = {
        "qvm-firewall", "Show and change the firewall rules of a qube.",
        "Rules apply in their order; what none accepts is dropped.", table};

enum { ADD_BEFORE = ARG_OWN, ADD_RULE };
static const struct arg add_table[] = {
        ARGS_COMMON,
        [ADD_BEFORE] = {ARG_VALUE,
                        {"--before"},
                        .metavar = "BEFORE",
                        .help = "number of the rule before which to put it"},
        [ADD_RULE] =
                {ARG_REST, .metavar = "match",
                 .help = "[action=]ACTION [dst=]HOST [proto=]PROTO [dstports=]PORTS, or KEY=VALUE: "
                         "dst4, dst6, dsthost, icmptype, specialtarget, expire, comment"},
        {ARG_END},
};
static const struct args_program add_program = {"qvm-firewall add", "Add a rule.", NULL, add_table};

enum { DEL_RULE_NO = ARG_OWN, DEL_RULE };
static const struct arg del_table[] = {
        ARGS_COMMON,
        [DEL_RULE_NO] = {ARG_VALUE,
                         {"--rule-no"},
                         .metavar = "RULE_NO",
                         .help = "number of the rule"},
        [DEL_RULE] = {ARG_REST, .metavar = "match", .help = "the rule itself, written as for add"},
        {ARG_END},
};
static const struct args_program del_program = {"qvm-firewall del", "Remove a rule.", NULL,
                                                del_table};

/* What stands without a key: action, then host, then protocol, then ports or type. */
static const char *key_at(const struct rule *rule)
{
	if (!rule->fields[RULE_ACTION])
		return "action";
	if (!rule->fields[RULE_HOST] && !rule->fields[RULE_PROTO])
		return "dsthost";
	if (!rule->fields[RULE_PROTO])
		return "proto";
	return strcmp(rule->fields[RULE_PROTO], "icmp") == 0 ? "icmptype" : "dstports";
}

static struct rule rule_parse(const struct args_program *for_program, const struct arg_given *words)
{
	struct rule rule = {0};

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an option that was given has its words */
	if (!words->n)
		args_error(for_program, "the following arguments are required: match");
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->items[i], *equals = strchr(word, '=');
		const char *key =
		        equals ? arena_copy(word, (size_t)(equals - word)) : key_at(&rule);
		const char *value = equals ? equals + 1 : word, *wrong;

		if (strcmp(key, "dst") == 0 || strcmp(key, "dstname") == 0)
			key = "dsthost";
		if (equals && strcmp(key, "type") == 0)
			key = "icmptype";
		wrong = rule_set(&rule, key, value);
		if (wrong)
			args_error(for_program, "%s: %s", word, wrong);
	}
	if (!rule.fields[RULE_ACTION])
		args_error(for_program, "no action: accept or drop");
	return rule;
}

static size_t number_parse(const struct args_program *for_program, const char *text, size_t most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || strchr(text, '-') || n > most)
		args_error(for_program, "no rule has the number %s", text_repr(text));
	return n;
}

static void rules_insert(struct rules *rules, size_t at, const struct rule *rule)
{
	struct rule *items = arena_alloc((rules->n + 1) * sizeof(*items));

	for (size_t i = 0; i < rules->n; i++)
		items[i + (i >= at)] = rules->items[i];
	items[at] = *rule;
	rules->items = items;
	rules->n++;
}

static void rules_remove(struct rules *rules, size_t at)
{
	for (size_t i = at; i + 1 < rules->n; i++)
		rules->items[i] = rules->items[i + 1];
	rules->n--;
}

static void add(struct rules *rules, const struct args *args)
{
	const char *before = args_value(args, ADD_BEFORE);
	struct rule rule = rule_parse(&add_program, &args->given[ADD_RULE]);

	rules_insert(rules, before ? number_parse(&add_program, before, rules->n) : rules->n,
	             &rule);
}

static void del(struct rules *rules, const struct args *args)
{
	const char *number = args_value(args, DEL_RULE_NO);
	struct rule rule;

	if (number) {
		if (rules->n == 0)
			fail(&program, "there is no rule");
		rules_remove(rules, number_parse(&del_program, number, rules->n - 1));
		return;
	}
	rule = rule_parse(&del_program, &args->given[DEL_RULE]);
	for (size_t i = 0; i < rules->n; i++) {
		if (rule_equal(&rules->items[i], &rule)) {
			rules_remove(rules, i);
			return;
		}
	}
	/* The words of the original, whose list says it so. */
	err_printf("ValueError: list.remove(x): x not in list\n");
	out_end(1);
}

static const char *ports_shown(const char *ports)
{
	const char *dash = ports ? strchr(ports, '-') : NULL;

	if (dash && strlen(dash + 1) == (size_t)(dash - ports) &&
	    strncmp(ports, dash + 1, (size_t)(dash - ports)) == 0)
		return dash + 1;
	return ports;
}

static const char *host_shown(const char *host)
{
	const char *slash = host ? strchr(host, '/') : NULL;

	if (slash &&
	    (strcmp(slash, "/32") == 0 || (strcmp(slash, "/128") == 0 && strchr(host, ':'))))
		return arena_copy(host, (size_t)(slash - host));
	return host;
}

static void list(const struct rules *rules, bool raw)
{
	static const char *const headings[] = {"NO",        "ACTION",  "HOST",
	                                       "PROTOCOL",  "PORT(S)", "SPECIAL TARGET",
	                                       "ICMP TYPE", "EXPIRE",  "COMMENT"};
	static const char *const keys[] = {"number",    "action", "host",
	                                   "protocol",  "ports",  "special_target",
	                                   "icmp_type", "expire", "comment"};
	struct table shown = table_new(ARRAY_LEN(headings), keys);
	const char **cells = table_row(&shown);

	memcpy(cells, headings, sizeof(headings));
	shown.heading = true;
	for (size_t i = 0; i < rules->n; i++) {
		const char *const *fields = rules->items[i].fields;

		if (raw) {
			out_printf("%s\n", rule_line(&rules->items[i]));
			continue;
		}
		cells = table_row(&shown);
		cells[0] = arena_printf("%zu", i);
		cells[1] = fields[RULE_ACTION];
		cells[2] = host_shown(fields[RULE_HOST]);
		cells[3] = fields[RULE_PROTO];
		cells[4] = ports_shown(fields[RULE_PORTS]);
		cells[5] = fields[RULE_SPECIAL];
		cells[6] = fields[RULE_ICMP_TYPE];
		cells[7] = fields[RULE_EXPIRE];
		cells[8] = fields[RULE_COMMENT];
		for (size_t c = 1; c < ARRAY_LEN(headings); c++)
			cells[c] = cells[c] ? cells[c] : "-";
	}
	if (!raw)
		table_print(&shown);
}

int qvm_firewall_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	const struct arg_given *words = &args->given[ACTION];
	const char *action = words->n ? words->items[0] : "list", *name;
	const struct args *more = NULL;
	struct qubes qubes;
	struct rules rules;

	if (strcmp(action, "add") == 0 || strcmp(action, "del") == 0)
		more = args_parse(*action == 'a' ? &add_program : &del_program, (int)words->n - 1,
		                  words->items + 1);
	qubes = qubes_or_fail(&program);
	name = qube_named(args, &qubes, VMNAME)->name;
	rules = rules_decode(
	        call_or_fail(&program, "admin.vm.firewall.Get", NULL, name, NULL).content);
	if (strcmp(action, "list") == 0) {
		list(&rules, args_has(args, RAW));
	} else {
		if (strcmp(action, "add") == 0)
			add(&rules, more);
		else if (strcmp(action, "del") == 0)
			del(&rules, more);
		else
			rules = rules_decode("action=accept\n");
		(void)call_or_fail(&program, "admin.vm.firewall.Set", NULL, name,
		                   rules_encode(&rules));
	}
	if (args_has(args, RELOAD))
		(void)call_or_fail(&program, "admin.vm.firewall.Reload", NULL, name, NULL);
	return 0;
}
