/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/policy_internal.h"
#include "services/policy/system.h"

/*
 * Parsed lines to the immutable policy: words become numbers, rules are indexed by service and
 * argument, then by source, then by target. Nothing here knows a qube; decide.c brings them in.
 */

static uint32_t add_token(struct policy *policy, const struct parsed_token *parsed)
{
	uint32_t id = names_add(&policy->words, parsed->text.p, parsed->text.len);
	struct token *token;

	if (id == NO_ID || id < policy->n_tokens)
		return id;
	if (grow((void **)&policy->tokens, &policy->tokens_room, id, sizeof(*token)))
		return NO_ID;
	policy->n_tokens = id + 1;
	token = &policy->tokens[id];
	*token = (struct token){.text = policy->words.list[id].text,
	                        .len = policy->words.list[id].len,
	                        .rest = parsed->rest,
	                        .key = id,
	                        .kind = parsed->kind};
	if (parsed->kind == TOKEN_NAME &&
	    (slice_is(parsed->text, "dom0") || slice_is(parsed->text, "uuid:" SYSTEM_ZERO_UUID)))
		token->key = KEY_ADMINVM;
	return id;
}

static int add_keywords(struct policy *policy)
{
	/* in the order of their keys */
	static const struct {
		const char *text;
		enum token_kind kind;
	} words[KEY_FIRST_FREE] = {
	        [KEY_ANY] = {"*", TOKEN_ANY},
	        [KEY_ANYVM] = {"@anyvm", TOKEN_ANYVM},
	        [KEY_ADMINVM] = {"@adminvm", TOKEN_ADMINVM},
	        [KEY_DEFAULT] = {"@default", TOKEN_DEFAULT},
	        [KEY_DISPVM] = {"@dispvm", TOKEN_DISPVM},
	};

	for (uint32_t i = 0; i < KEY_FIRST_FREE; i++) {
		struct parsed_token token = {.text = {words[i].text, strlen(words[i].text)},
		                             .kind = words[i].kind};

		if (add_token(policy, &token) != i)
			return -1;
	}
	return 0;
}

struct policy *policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return NULL;
	policy->refs = 1;
	return add_keywords(policy) ? policy_unref(policy) : policy;
}

struct policy *policy_ref(struct policy *policy)
{
	policy->refs++;
	return policy;
}

struct policy *policy_unref(struct policy *policy)
{
	if (!policy || --policy->refs > 0)
		return NULL;
	names_fini(&policy->symbols);
	names_fini(&policy->words);
	free(policy->tokens);
	free(policy->rules);
	for (uint32_t i = 0; i < policy->n_files; i++)
		free(policy->files[i]);
	free(policy->files);
	arena_fini(&policy->users);
	free(policy->keys);
	pairs_fini(&policy->group_of);
	free(policy->groups);
	free(policy->group_rules);
	pairs_fini(&policy->node_of);
	free(policy->nodes);
	free(policy->node_rules);
	pairs_fini(&policy->by_target);
	free(policy);
	return NULL;
}

uint32_t policy_add_file(struct policy *policy, const char *path)
{
	char *copy;

	if (policy->n_files > 0 && strcmp(policy->files[policy->n_files - 1], path) == 0)
		return policy->n_files - 1;
	if (grow((void **)&policy->files, &policy->files_room, policy->n_files, sizeof(char *)))
		return NO_ID;
	copy = strdup(path);
	if (!copy)
		return NO_ID;
	policy->files[policy->n_files] = copy;
	return policy->n_files++;
}

/* A token where there may be none: NO_ID is then right, and after a failure errno is set. */
static int add_optional(struct policy *policy, const struct parsed_token *token, uint32_t *ret)
{
	*ret = NO_ID;
	if (!token->text.p)
		return 0;
	*ret = add_token(policy, token);
	return *ret == NO_ID ? -1 : 0;
}

static int add_symbol(struct policy *policy, struct slice text, uint32_t *ret)
{
	*ret = NO_ID;
	if (slice_is(text, "*"))
		return 0;
	*ret = names_add(&policy->symbols, text.p, text.len);
	return *ret == NO_ID ? -1 : 0;
}

static int fill_rule(struct policy *policy, const struct parsed_line *line, struct rule *rule)
{
	if (add_symbol(policy, line->service, &rule->service) ||
	    add_symbol(policy, line->argument, &rule->argument) ||
	    add_optional(policy, &line->source, &rule->source) ||
	    add_optional(policy, &line->target, &rule->target) ||
	    add_optional(policy, &line->redirect, &rule->redirect) ||
	    add_optional(policy, &line->default_target, &rule->default_target))
		return -1;
	if (line->user.len == 0)
		return 0;
	rule->user = arena_string(&policy->users, line->user.p, line->user.len);
	rule->user_len = (uint32_t)line->user.len;
	return rule->user ? 0 : -1;
}

int policy_add_rule(struct policy *policy, uint32_t file, uint32_t line,
                    const struct parsed_line *parsed)
{
	struct rule rule = {
	        .file = file,
	        .line = line,
	        .action = (uint8_t)parsed->action,
	        .notify = parsed->notify,
	        .autostart = parsed->autostart,
	        .notify_given = parsed->notify_given,
	        .autostart_given = parsed->autostart_given,
	};

	if (policy->n_rules >= POLICY_RULES_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (grow((void **)&policy->rules, &policy->rules_room, policy->n_rules, sizeof(rule)) ||
	    fill_rule(policy, parsed, &rule)) {
		errno = ENOMEM;
		return -1;
	}
	policy->rules[policy->n_rules++] = rule;
	return 0;
}

/* First pass: which group and node each rule belongs to, and how many each has. */
static int count_rules(struct policy *policy, uint32_t *group_ids, uint32_t *node_ids)
{
	for (uint32_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = &policy->rules[i];
		struct rule_keys *keys = &policy->keys[i];
		/* A service * has no number that could come first in a pair. */
		uint32_t service = rule->service == NO_ID ? policy->symbols.n : rule->service;
		uint32_t group;
		uint32_t node;

		keys->source = policy->tokens[rule->source].key;
		keys->target = policy->tokens[rule->target].key;
		group = pairs_add(&policy->group_of, service, rule->argument, policy->n_groups);
		if (group == NO_ID)
			return -1;
		policy->n_groups += group == policy->n_groups;
		node = pairs_add(&policy->node_of, group, keys->source, policy->n_nodes);
		if (node == NO_ID)
			return -1;
		if (node == policy->n_nodes)
			policy->nodes[policy->n_nodes++] = (struct node){.lowest = i};
		policy->groups[group].n++;
		policy->nodes[node].rules.n++;
		group_ids[i] = group;
		node_ids[i] = node;
	}
	return 0;
}

/* Second pass: the rule numbers of each, in load order. */
static void fill_buckets(struct policy *policy, const uint32_t *group_ids, const uint32_t *node_ids)
{
	uint32_t first = 0;

	for (uint32_t i = 0; i < policy->n_groups; i++) {
		policy->groups[i].first = first;
		first += policy->groups[i].n;
		policy->groups[i].n = 0;
	}
	first = 0;
	for (uint32_t i = 0; i < policy->n_nodes; i++) {
		policy->nodes[i].rules.first = first;
		first += policy->nodes[i].rules.n;
		policy->nodes[i].rules.n = 0;
	}
	for (uint32_t i = 0; i < policy->n_rules; i++) {
		struct bucket *group = &policy->groups[group_ids[i]];
		struct bucket *node = &policy->nodes[node_ids[i]].rules;

		policy->group_rules[group->first + group->n++] = i;
		policy->node_rules[node->first + node->n++] = i;
	}
}

static int index_targets(struct policy *policy)
{
	for (uint32_t i = 0; i < policy->n_nodes; i++) {
		const struct bucket *rules = &policy->nodes[i].rules;

		if (rules->n <= NODE_SMALL)
			continue;
		for (uint32_t k = 0; k < rules->n; k++) {
			uint32_t rule = policy->node_rules[rules->first + k];

			if (pairs_add(&policy->by_target, i, policy->keys[rule].target, rule) ==
			    NO_ID)
				return -1;
		}
	}
	return 0;
}

int policy_index(struct policy *policy)
{
	size_t n = MAX(policy->n_rules, 1U);
	uint32_t *group_ids = calloc(n, sizeof(*group_ids));
	uint32_t *node_ids = calloc(n, sizeof(*node_ids));
	int r = -1;

	policy->keys = calloc(n, sizeof(*policy->keys));
	policy->groups = calloc(n, sizeof(*policy->groups));
	policy->nodes = calloc(n, sizeof(*policy->nodes));
	policy->group_rules = calloc(n, sizeof(*policy->group_rules));
	policy->node_rules = calloc(n, sizeof(*policy->node_rules));
	if (group_ids && node_ids && policy->keys && policy->groups && policy->nodes &&
	    policy->group_rules && policy->node_rules &&
	    count_rules(policy, group_ids, node_ids) == 0) {
		fill_buckets(policy, group_ids, node_ids);
		r = index_targets(policy);
	}
	free(group_ids);
	free(node_ids);
	return r;
}

uint32_t policy_n_rules(const struct policy *policy)
{
	return policy->n_rules;
}

const struct rule *policy_rule(const struct policy *policy, uint32_t index)
{
	CHECK(index < policy->n_rules);
	return &policy->rules[index];
}

uint32_t policy_rule_index(const struct policy *policy, const struct rule *rule)
{
	CHECK(rule >= policy->rules && rule < policy->rules + policy->n_rules);
	return (uint32_t)(rule - policy->rules);
}

const struct token *policy_token(const struct policy *policy, uint32_t id)
{
	CHECK(id < policy->n_tokens);
	return &policy->tokens[id];
}

const char *policy_symbol(const struct policy *policy, uint32_t id)
{
	CHECK(id < policy->symbols.n || id == NO_ID);
	return id == NO_ID ? "*" : policy->symbols.list[id].text;
}

const char *policy_file_name(const struct policy *policy, uint32_t file)
{
	CHECK(file < policy->n_files);
	return policy->files[file];
}

/* Parts of a rule's line, one after the other, as far as there is room. */
struct part_writer {
	char *out;
	size_t max;
	size_t len;
};

static void put_part(struct part_writer *w, const char *before, const char *text)
{
	size_t at = MIN(w->len, w->max);
	int n = snprintf(w->out + at, w->max - at, "%s%s", before, text);

	w->len += n > 0 ? (size_t)n : 0;
}

size_t policy_format_rule(const struct policy *policy, const struct rule *rule, char *out,
                          size_t max)
{
	static const char *const actions[] = {
	        [RULE_DENY] = " deny", [RULE_ALLOW] = " allow", [RULE_ASK] = " ask"};
	struct part_writer w = {out, max, 0};

	put_part(&w, "", policy_symbol(policy, rule->service));
	put_part(&w, " ", policy_symbol(policy, rule->argument));
	put_part(&w, " ", policy_token(policy, rule->source)->text);
	put_part(&w, " ", policy_token(policy, rule->target)->text);
	put_part(&w, actions[rule->action], "");
	if (rule->redirect != NO_ID)
		put_part(&w, " target=", policy_token(policy, rule->redirect)->text);
	if (rule->default_target != NO_ID)
		put_part(&w, " default_target=", policy_token(policy, rule->default_target)->text);
	if (rule->user)
		put_part(&w, " user=", rule->user);
	if (rule->notify_given)
		put_part(&w, " notify=", rule->notify ? "yes" : "no");
	if (rule->autostart_given)
		put_part(&w, " autostart=", rule->autostart ? "yes" : "no");
	return w.len;
}
