/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_POLICY_INTERNAL_H
#define SERVICES_POLICY_POLICY_INTERNAL_H

#include "services/policy/parse.h"
#include "services/policy/policy.h"
#include "services/policy/table.h"

/* Tokens that exist in every policy; their ids are their keys. */
enum { KEY_ANY, KEY_ANYVM, KEY_ADMINVM, KEY_DEFAULT, KEY_DISPVM, KEY_FIRST_FREE };

/* Rules with one service and argument column, or with one source besides; in load order. */
struct bucket {
	uint32_t first; /* in an array of rule numbers */
	uint32_t n;
};

/*
 * Rules of one group with one source. A small one is read rule by rule; a big one has an entry in
 * by_target for each target, which is its first rule: the later ones can never decide.
 */
struct node {
	struct bucket rules;
	uint32_t lowest; /* number of its first rule */
};
#define NODE_SMALL 8U /* rules; measured, bench/policy */

/* What the decision needs of a rule, close together. */
struct rule_keys {
	uint32_t source;
	uint32_t target;
};

struct policy {
	uint32_t refs;
	struct names symbols; /* services and arguments */
	struct names words;   /* tokens, by their text */
	struct token *tokens; /* as words */
	uint32_t n_tokens;
	uint32_t tokens_room;
	struct rule *rules;
	uint32_t n_rules;
	uint32_t rules_room;
	char **files;
	uint32_t n_files;
	uint32_t files_room;
	struct arena users;

	/* The index, made once by policy_index(). */
	struct rule_keys *keys;
	struct pairs group_of; /* service, argument -> group; NO_ID for * */
	struct bucket *groups;
	uint32_t n_groups;
	uint32_t *group_rules;
	struct pairs node_of; /* group, source key -> node */
	struct node *nodes;
	uint32_t n_nodes;
	uint32_t *node_rules;
	struct pairs by_target; /* node, target key -> rule */
};

/** policy_new() - without rules; NULL: no memory */
struct policy *policy_new(void) MUST_CHECK;
/** policy_add_file() - its number; NO_ID: no memory */
uint32_t policy_add_file(struct policy *policy, const char *path) MUST_CHECK;
/** policy_add_rule() - 0; -1 with errno ENOMEM or E2BIG */
int policy_add_rule(struct policy *policy, uint32_t file, uint32_t line,
                    const struct parsed_line *rule) MUST_CHECK;
/** policy_index() - ready for decisions; 0, or -1: no memory */
int policy_index(struct policy *policy) MUST_CHECK;

#endif
