/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "services/policy/decide_internal.h"

/*
 * A policy bound to a system: for each qube, the words of the policy that match it. A word that no
 * rule has costs nothing; a change of the system costs a few lookups for each qube, not the rules.
 */

static int push_key(struct view *view, uint32_t key)
{
	if (grow((void **)&view->keys, &view->keys_room, view->n_keys, sizeof(*view->keys)))
		return -1;
	view->keys[view->n_keys++] = key;
	return 0;
}

/* The key of prefix + text, if the policy has such a word and it is not there yet. */
static int push_word(struct view *view, const char *prefix, const char *text)
{
	char word[SYSTEM_TEXT_MAX + 32];
	size_t n = strlen(prefix);
	size_t len = strlen(text);
	uint32_t id;

	if (!text[0])
		return 0;
	memcpy(word, prefix, n);
	memcpy(word + n, text, len);
	id = names_find(&view->policy->words, word, n + len);
	/* dom0's own name has the key that dom0 was given already. */
	if (id == NO_ID || view->policy->tokens[id].key != id)
		return 0;
	return push_key(view, id);
}

static int push_tags(struct view *view, const char *prefix, const struct system_qube *qube)
{
	for (size_t i = 0; i < qube->n_tags; i++) {
		if (push_word(view, prefix, qube->tags[i]))
			return -1;
	}
	return 0;
}

static int bind_qube(struct view *view, uint32_t index)
{
	const struct system_qube *qube = system_qube(view->system, index);
	struct qube_keys *keys = &view->qubes[index];
	bool dom0 = index == view->dom0;

	keys->dispvm = NO_ID;
	if (qube->default_dispvm)
		keys->dispvm = system_find(view->system, qube->default_dispvm,
		                           strlen(qube->default_dispvm));
	keys->first = view->n_keys;
	if (push_key(view, KEY_ANY) || push_key(view, dom0 ? KEY_ADMINVM : KEY_ANYVM) ||
	    push_word(view, "", qube->name) ||
	    (qube->uuid && push_word(view, "uuid:", qube->uuid)) ||
	    push_word(view, "@type:", qube->type) || push_tags(view, "@tag:", qube))
		return -1;
	keys->n = view->n_keys - keys->first;
	if (push_key(view, KEY_ANY) || push_key(view, KEY_ANYVM) ||
	    push_word(view, "@dispvm:", qube->name) ||
	    (qube->uuid && push_word(view, "@dispvm:uuid:", qube->uuid)) ||
	    (qube->template_for_dispvms && push_tags(view, "@dispvm:@tag:", qube)))
		return -1;
	keys->n_disp = view->n_keys - keys->first - keys->n;
	return 0;
}

struct view *view_new(struct policy *policy, struct system *system)
{
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->policy = policy_ref(policy);
	view->system = system_ref(system);
	view->dom0 = system_find(system, "dom0", 4);
	view->qubes = calloc(MAX(system_n_qubes(system), 1U), sizeof(*view->qubes));
	if (!view->qubes)
		return view_free(view);
	for (uint32_t i = 0; i < system_n_qubes(system); i++) {
		if (bind_qube(view, i))
			return view_free(view);
	}
	return view;
}

struct view *view_free(struct view *view)
{
	if (!view)
		return NULL;
	offers_drop_all(view);
	free(view->cache);
	free(view->qubes);
	free(view->keys);
	(void)policy_unref(view->policy);
	(void)system_unref(view->system);
	free(view);
	return NULL;
}

struct policy *view_policy(const struct view *view)
{
	return view->policy;
}

struct system *view_system(const struct view *view)
{
	return view->system;
}

static const uint32_t keys_anyvm[] = {KEY_ANY, KEY_ANYVM};
static const uint32_t keys_dom0[] = {KEY_ANY, KEY_ADMINVM};

bool view_dom0_text(const char *text, size_t len)
{
	struct slice s = {text, len};

	return slice_is(s, "dom0") || slice_is(s, "@adminvm") ||
	       slice_is(s, "uuid:" SYSTEM_ZERO_UUID);
}

struct keys view_source_keys(const struct view *view, const struct decision *decision)
{
	size_t len = strlen(decision->source_text);
	struct keys keys = {keys_anyvm, ARRAY_LEN(keys_anyvm), {NO_ID, NO_ID}};

	if (decision->source != NO_ID) {
		const struct qube_keys *qube = &view->qubes[decision->source];

		keys.list = view->keys + qube->first;
		keys.n = qube->n;
	} else if (view_dom0_text(decision->source_text, len)) {
		keys.list = keys_dom0;
	} else {
		uint32_t id = names_find(&view->policy->words, decision->source_text, len);

		if (id != NO_ID && view->policy->tokens[id].kind == TOKEN_NAME)
			keys.extra[0] = id;
	}
	return keys;
}

/* What @dispvm is for this source: the word itself, and what matches the disposable it means. */
static void dispvm_keys(const struct view *view, const struct decision *decision, struct keys *keys)
{
	char word[TARGET_TEXT_LEN];
	const char *name;
	uint32_t template;
	uint32_t id;

	keys->extra[0] = KEY_DISPVM;
	if (decision->source == NO_ID)
		return;
	template = view->qubes[decision->source].dispvm;
	if (template != NO_ID) {
		const struct qube_keys *qube = &view->qubes[template];

		keys->list = view->keys + qube->first + qube->n;
		keys->n = qube->n_disp;
		return;
	}
	name = system_qube(view->system, decision->source)->default_dispvm;
	if (!name)
		return;
	memcpy(word, "@dispvm:", 8);
	memcpy(word + 8, name, strlen(name));
	id = names_find(&view->policy->words, word, strlen(name) + 8);
	if (id != NO_ID && view->policy->tokens[id].kind == TOKEN_DISPVM_NAME)
		keys->extra[1] = id;
}

struct keys view_target_keys(const struct view *view, const struct decision *decision)
{
	const struct target *target = &decision->requested;
	struct keys keys = {keys_anyvm, ARRAY_LEN(keys_anyvm), {NO_ID, NO_ID}};

	if (target->kind == TARGET_QUBE) {
		keys.list = view->keys + view->qubes[target->qube].first;
		keys.n = view->qubes[target->qube].n;
	} else if (target->kind == TARGET_DISPVM_OF) {
		const struct qube_keys *qube = &view->qubes[target->qube];

		keys.list = view->keys + qube->first + qube->n;
		keys.n = qube->n_disp;
	} else if (target->kind == TARGET_DISPVM) {
		dispvm_keys(view, decision, &keys);
	} else if (target->kind == TARGET_DEFAULT) {
		keys.extra[0] = KEY_DEFAULT;
	} else {
		keys.list = keys_dom0;
	}
	return keys;
}

static void set_text(struct target *target, const char *text, size_t len)
{
	size_t n = MIN(len, sizeof(target->text) - 1);

	memcpy(target->text, text, n);
	target->text[n] = '\0';
}

static void set_plain(struct target *target, enum target_kind kind, const char *text)
{
	target->kind = kind;
	target->qube = NO_ID;
	target->dom0 = kind == TARGET_DOM0;
	set_text(target, text, strlen(text));
}

void target_set_qube(const struct view *view, uint32_t qube, struct target *ret)
{
	set_plain(ret, TARGET_QUBE, system_qube(view->system, qube)->name);
	ret->qube = qube;
	ret->dom0 = qube == view->dom0;
}

static void set_disp_text(struct target *ret, const char *name)
{
	memcpy(ret->text, "@dispvm:", 8);
	memcpy(ret->text + 8, name, strlen(name) + 1);
}

void target_set_disp(const struct view *view, uint32_t qube, struct target *ret)
{
	*ret = (struct target){.kind = TARGET_DISPVM_OF, .qube = qube};
	set_disp_text(ret, system_qube(view->system, qube)->name);
}

bool target_default_disp(const struct view *view, uint32_t source, struct target *ret)
{
	const char *name =
	        source == NO_ID ? NULL : system_qube(view->system, source)->default_dispvm;

	if (!name || !name[0])
		return false;
	*ret = (struct target){.kind = TARGET_DISPVM_OF, .qube = view->qubes[source].dispvm};
	set_disp_text(ret, name);
	return true;
}

static enum refusal parse_disp(const struct view *view, struct slice word, struct target *ret)
{
	uint32_t qube = system_find(view->system, word.p + 8, word.len - 8);

	set_plain(ret, TARGET_DISPVM_OF, "");
	set_text(ret, word.p, word.len);
	ret->qube = qube;
	if (qube == NO_ID || !system_qube(view->system, qube)->template_for_dispvms)
		return REFUSAL_NOT_DISPVM_TEMPLATE;
	return REFUSAL_NONE;
}

enum refusal target_parse(const struct view *view, const char *text, size_t len, struct target *ret,
                          bool *ret_unknown)
{
	struct slice word = {text, len};
	struct parsed_token token;
	uint32_t qube;

	*ret_unknown = false;
	set_plain(ret, TARGET_DEFAULT, "@default");
	if (len == 0)
		return REFUSAL_NONE;
	if (parse_token(word, PLACE_REQUEST, &token) != CODE_NONE)
		return REFUSAL_BAD_TARGET_TOKEN;
	if (token.kind == TOKEN_DISPVM_NAME)
		return parse_disp(view, word, ret);
	if (token.kind == TOKEN_DISPVM)
		set_plain(ret, TARGET_DISPVM, "@dispvm");
	if (token.kind == TOKEN_ADMINVM)
		set_plain(ret, TARGET_DOM0, "@adminvm");
	if (token.kind != TOKEN_NAME)
		return REFUSAL_NONE;
	qube = system_find(view->system, text, len);
	if (qube != NO_ID) {
		target_set_qube(view, qube, ret);
		set_text(ret, text, len);
	} else if (view_dom0_text(text, len)) {
		set_plain(ret, TARGET_DOM0, "dom0");
		set_text(ret, text, len);
	} else {
		*ret_unknown = true;
	}
	return REFUSAL_NONE;
}
