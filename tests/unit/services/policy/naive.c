/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/services/policy/naive.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The table of doc/protocol/policy.md, 8.2, in the order of a reader. Works on texts alone. */

static bool is_dom0(const char *text)
{
	return strcmp(text, "dom0") == 0 || strcmp(text, "@adminvm") == 0 ||
	       strcmp(text, "uuid:" SYSTEM_ZERO_UUID) == 0;
}

static const struct system_qube *find(const struct system *system, const char *text)
{
	for (uint32_t i = 0; i < system_n_qubes(system); i++) {
		const struct system_qube *qube = system_qube(system, i);

		if (strcmp(qube->name, text) == 0 ||
		    (strncmp(text, "uuid:", 5) == 0 && qube->uuid &&
		     strcmp(qube->uuid, text + 5) == 0))
			return qube;
	}
	return NULL;
}

static bool same(const struct system *system, const char *a, const char *b)
{
	return strcmp(a, b) == 0 || (find(system, a) && find(system, a) == find(system, b));
}

static bool tagged(const struct system_qube *qube, const char *tag)
{
	for (size_t i = 0; qube && i < qube->n_tags; i++) {
		if (strcmp(qube->tags[i], tag) == 0)
			return true;
	}
	return false;
}

/* Tokens that mean a group or a qube, for both columns. */
static bool match_common(const struct system *system, const char *token, const char *value)
{
	const struct system_qube *qube = find(system, value);

	if (strcmp(token, "*") == 0)
		return true;
	if (strcmp(token, "@anyvm") == 0)
		return !is_dom0(value);
	if (is_dom0(token))
		return is_dom0(value);
	if (strncmp(token, "@tag:", 5) == 0)
		return tagged(qube, token + 5);
	if (strncmp(token, "@type:", 6) == 0)
		return qube && strcmp(qube->type, token + 6) == 0;
	return token[0] != '@' && value[0] != '@' && same(system, token, value);
}

static bool match_disp(const struct system *system, const char *token, const char *template)
{
	const struct system_qube *qube = find(system, template);

	if (strncmp(token, "@dispvm:@tag:", 13) == 0)
		return qube && qube->template_for_dispvms && tagged(qube, token + 13);
	return strncmp(token, "@dispvm:", 8) == 0 && same(system, token + 8, template);
}

static bool match_target(const struct system *system, const char *token, const char *target,
                         const char *source)
{
	const struct system_qube *caller = find(system, source);

	if (match_common(system, token, target))
		return true;
	if (strcmp(target, "@default") == 0 || strcmp(target, "@dispvm") == 0) {
		if (strcmp(token, target) == 0)
			return true;
	}
	if (strncmp(target, "@dispvm:", 8) == 0)
		return match_disp(system, token, target + 8);
	return strcmp(target, "@dispvm") == 0 && caller && caller->default_dispvm &&
	       match_disp(system, token, caller->default_dispvm);
}

uint32_t naive_rule(const struct policy *policy, const struct system *system, const char *source,
                    const char *target, const char *service, const char *argument)
{
	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		const char *s = policy_symbol(policy, rule->service);
		const char *a = policy_symbol(policy, rule->argument);

		if ((strcmp(s, "*") == 0 || strcmp(s, service) == 0) &&
		    (strcmp(a, "*") == 0 || strcmp(a, argument) == 0) &&
		    match_common(system, policy_token(policy, rule->source)->text, source) &&
		    match_target(system, policy_token(policy, rule->target)->text, target, source))
			return i;
	}
	return NO_ID;
}
