/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/decide_internal.h"

/*
 * What an ask rule offers. Made once for each rule, service, argument and source, and kept until
 * the view goes. dom0 is one member however it is spelled, and a deny that covers what @dispvm
 * means takes @dispvm out too. Source: doc/protocol/policy.md, 8.5, 8.6 and 19.
 */

/* Members while a list is collected; one byte each. */
struct collection {
	uint8_t *qubes; /* by index */
	uint8_t *disps; /* @dispvm:QUBE, by index */
	bool dispvm;    /* @dispvm, whatever it will mean */
	bool dom0;      /* dom0 that the system does not know */
};

struct offers *offers_ref(struct offers *offers)
{
	offers->refs++;
	return offers;
}

struct offers *offers_unref(struct offers *offers)
{
	if (offers && --offers->refs == 0)
		free(offers);
	return NULL;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool offers_have(const struct offers *offers, const char *text)
{
	return bsearch(&text, offers->list, offers->n, sizeof(text), compare_texts) != NULL;
}

static void put_dom0(const struct view *view, struct collection *all, uint8_t in)
{
	all->dom0 = in;
	if (view->dom0 != NO_ID)
		all->qubes[view->dom0] = in;
}

static void put_disp(const struct view *view, const struct decision *decision,
                     struct collection *all, uint32_t qube, uint8_t in)
{
	if (!in && decision->source != NO_ID && view->qubes[decision->source].dispvm == qube)
		all->dispvm = false;
	if (system_qube(view->system, qube)->template_for_dispvms)
		all->disps[qube] = in;
}

/* @dispvm:NAME where no qube has the name: what a denied @dispvm may mean all the same. */
static void put_missing_disp(const struct view *view, const struct decision *decision,
                             struct collection *all, struct slice name, uint8_t in)
{
	const char *means = decision->source == NO_ID
	                            ? NULL
	                            : system_qube(view->system, decision->source)->default_dispvm;

	if (!in && means && slice_is(name, means))
		all->dispvm = false;
}

/* One qube by name or uuid; a spelling of dom0 is dom0 even where its facts lack a uuid. */
static void put_name(const struct view *view, struct collection *all, const struct token *token,
                     uint8_t in)
{
	uint32_t qube = system_find(view->system, token->text, token->len);

	if (token->key == KEY_ADMINVM && (view->dom0 != NO_ID || !in))
		put_dom0(view, all, in);
	else if (qube != NO_ID)
		all->qubes[qube] = in;
}

static void put_all(const struct view *view, const struct decision *decision,
                    struct collection *all, bool with_dom0, uint8_t in)
{
	for (uint32_t i = 0; i < system_n_qubes(view->system); i++) {
		if (i != view->dom0)
			all->qubes[i] = in;
		put_disp(view, decision, all, i, in);
	}
	all->dispvm = in;
	if (with_dom0 && (view->dom0 != NO_ID || !in))
		put_dom0(view, all, in);
}

/* Every qube of a tag or type; with disp, its disposables. */
static void put_group(const struct view *view, const struct decision *decision,
                      struct collection *all, const struct token *token, uint8_t in)
{
	const char *rest = token->text + token->rest;
	size_t len = token->len - token->rest;

	for (uint32_t i = 0; i < system_n_qubes(view->system); i++) {
		struct slice type = {rest, len};

		if (token->kind == TOKEN_TYPE) {
			if (slice_is(type, system_qube(view->system, i)->type))
				all->qubes[i] = in;
		} else if (system_has_tag(view->system, i, rest, len)) {
			if (token->kind == TOKEN_TAG)
				all->qubes[i] = in;
			else
				put_disp(view, decision, all, i, in);
		}
	}
}

static void put_token(const struct view *view, const struct decision *decision,
                      struct collection *all, const struct token *token, uint8_t in)
{
	struct slice rest = {token->text + token->rest, token->len - token->rest};
	uint32_t qube;

	switch (token->kind) {
	case TOKEN_ANY:
	case TOKEN_ANYVM:
		put_all(view, decision, all, token->kind == TOKEN_ANY, in);
		break;
	case TOKEN_ADMINVM:
		put_dom0(view, all, in);
		break;
	case TOKEN_DISPVM:
		all->dispvm = in;
		break;
	case TOKEN_NAME:
		put_name(view, all, token, in);
		break;
	case TOKEN_DISPVM_NAME:
		qube = system_find(view->system, rest.p, rest.len);
		if (qube != NO_ID)
			put_disp(view, decision, all, qube, in);
		else
			put_missing_disp(view, decision, all, rest, in);
		break;
	case TOKEN_TAG:
	case TOKEN_TYPE:
	case TOKEN_DISPVM_TAG:
		put_group(view, decision, all, token, in);
		break;
	case TOKEN_DEFAULT:
		break;
	}
}

/* The last rule of any of the buckets, taken out of it; NO_ID: none is left. */
static uint32_t take_last(const struct policy *policy, struct bucket buckets[3])
{
	uint32_t last = NO_ID;
	size_t from = 0;

	for (size_t i = 0; i < 3; i++) {
		uint32_t rule;

		if (buckets[i].n == 0)
			continue;
		rule = policy->group_rules[buckets[i].first + buckets[i].n - 1];
		if (last == NO_ID || rule > last) {
			last = rule;
			from = i;
		}
	}
	if (last != NO_ID)
		buckets[from].n--;
	return last;
}

/* The rules of the service, last to first, the target ignored. */
static void collect(const struct view *view, const struct decision *decision,
                    struct collection *all)
{
	const struct policy *policy = view->policy;
	struct keys source = view_source_keys(view, decision);
	struct bucket buckets[3] = {{0, 0}, {0, 0}, {0, 0}};
	uint32_t groups[3];
	uint32_t i;

	view_groups(policy, decision, groups);
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		if (groups[g] != NO_ID)
			buckets[g] = policy->groups[groups[g]];
	}
	while ((i = take_last(policy, buckets)) != NO_ID) {
		const struct rule *rule = &policy->rules[i];
		bool deny = rule->action == RULE_DENY;
		uint32_t token = deny || rule->redirect == NO_ID ? rule->target : rule->redirect;

		if (keys_have(&source, policy->keys[i].source))
			put_token(view, decision, all, &policy->tokens[token], !deny);
	}
}

/* A list under construction; texts are the system's own, or owned by the list's tail. */
struct list {
	const char **texts;
	uint32_t n;
	size_t bytes; /* of texts, with their NULs */
};

static bool may_offer(const struct view *view, const struct decision *decision, uint32_t qube)
{
	const struct system_qube *facts = system_qube(view->system, qube);

	if (facts->internal || qube == decision->source)
		return false;
	return decision->rule->autostart || facts->running || qube == view->dom0;
}

static void add_text(struct list *list, const char *text)
{
	list->texts[list->n++] = text;
	list->bytes += strlen(text) + 1;
}

/* From members to texts; room: three more than twice the qubes. texts of disposables go to disp. */
static void write_members(const struct view *view, const struct decision *decision,
                          const struct collection *all, struct list *list,
                          char (*disp)[TARGET_TEXT_LEN])
{
	uint32_t n = system_n_qubes(view->system);
	bool started = !decision->rule->autostart;
	struct target target;

	for (uint32_t i = 0; i < n; i++) {
		if (all->qubes[i] && may_offer(view, decision, i))
			add_text(list, system_qube(view->system, i)->name);
		if (!all->disps[i] || started || system_qube(view->system, i)->internal)
			continue;
		target_set_disp(view, i, &target);
		memcpy(disp[i], target.text, sizeof(target.text));
		add_text(list, disp[i]);
	}
	if (all->dom0 && view->dom0 == NO_ID)
		add_text(list, "dom0");
	if (!all->dispvm || started || !target_default_disp(view, decision->source, &target))
		return;
	if (target.qube != NO_ID &&
	    (all->disps[target.qube] || system_qube(view->system, target.qube)->internal))
		return;
	memcpy(disp[n], target.text, sizeof(target.text));
	add_text(list, disp[n]);
}

static void write_redirect(const struct view *view, const struct decision *decision,
                           struct list *list, struct target *target)
{
	const struct token *token = &view->policy->tokens[decision->rule->redirect];
	bool unknown;

	if (target_parse(view, token->text, token->len, target, &unknown) != REFUSAL_NONE ||
	    target->kind == TARGET_DEFAULT)
		return;
	if (target->kind == TARGET_DISPVM && !target_default_disp(view, decision->source, target))
		return;
	if (target->dom0) {
		add_text(list, "dom0");
		return;
	}
	if (target->kind == TARGET_QUBE) {
		if (decision->rule->autostart || system_qube(view->system, target->qube)->running)
			add_text(list, system_qube(view->system, target->qube)->name);
		return;
	}
	if (!decision->rule->autostart)
		return;
	if (target->qube != NO_ID)
		target_set_disp(view, target->qube, target);
	add_text(list, target->text);
}

/* The texts behind the pointers, sorted, in one piece of memory. */
static struct offers *make_offers(const struct list *list)
{
	struct offers *offers = malloc(sizeof(*offers) + list->n * sizeof(char *) + list->bytes);
	char *text;

	if (!offers)
		return NULL;
	*offers = (struct offers){.refs = 1, .n = list->n, .default_index = NO_ID};
	text = (char *)&offers->list[list->n];
	for (uint32_t i = 0; i < list->n; i++) {
		size_t len = strlen(list->texts[i]) + 1;

		memcpy(text, list->texts[i], len);
		offers->list[i] = text;
		text += len;
	}
	qsort(offers->list, offers->n, sizeof(char *), compare_texts);
	return offers;
}

/* *ret NULL: nothing may be offered. -1: no memory. */
static int build(const struct view *view, const struct decision *decision, struct offers **ret)
{
	size_t n = system_n_qubes(view->system);
	struct collection all = {.qubes = calloc(n * 2 + 1, 1)};
	char(*disp)[TARGET_TEXT_LEN] = calloc(n + 1, sizeof(*disp));
	struct list list = {.texts = calloc(n * 2 + 3, sizeof(char *))};
	struct target target;
	int r = -1;

	*ret = NULL;
	if (all.qubes && disp && list.texts) {
		all.disps = all.qubes + n;
		if (decision->rule->redirect != NO_ID) {
			write_redirect(view, decision, &list, &target);
		} else {
			collect(view, decision, &all);
			write_members(view, decision, &all, &list, disp);
		}
		if (list.n > 0)
			*ret = make_offers(&list);
		r = list.n > 0 && !*ret ? -1 : 0;
	}
	free(all.qubes);
	free(disp);
	free((void *)list.texts);
	return r;
}

static void set_default(const struct view *view, struct decision *decision, struct offers *offers)
{
	const struct token *token;
	struct target target;
	const char *text = target.text;
	const char **found;
	bool unknown;

	if (decision->rule->default_target == NO_ID)
		return;
	token = &view->policy->tokens[decision->rule->default_target];
	decision->ignored_default = token;
	if (target_parse(view, token->text, token->len, &target, &unknown) != REFUSAL_NONE)
		return;
	if (target.kind == TARGET_DISPVM && !target_default_disp(view, decision->source, &target))
		return;
	if (target.kind == TARGET_QUBE)
		text = system_qube(view->system, target.qube)->name;
	else if (target.kind == TARGET_DISPVM_OF && target.qube != NO_ID)
		target_set_disp(view, target.qube, &target);
	if (target.dom0)
		text = "dom0";
	found = bsearch(&text, offers->list, offers->n, sizeof(text), compare_texts);
	if (!found)
		return;
	offers->default_index = (uint32_t)(found - offers->list);
	decision->ignored_default = NULL;
}

void offers_drop_all(struct view *view)
{
	for (uint32_t i = 0; view->cache && i < OFFERS_CACHED; i++) {
		(void)offers_unref(view->cache[i].offers);
		view->cache[i] = (struct cached){0};
	}
	view->cache_members = 0;
}

static bool same_list(const struct cached *a, const struct cached *b)
{
	return a->used && a->rule == b->rule && a->source == b->source &&
	       a->argument == b->argument && a->service == b->service;
}

/*
 * OFFERS_WAYS places for each list: its own if it is there, else a free one, else one of them. With
 * a single place two busy lists that fall on it would be made anew at every question.
 */
static struct cached *cache_slot(struct view *view, const struct cached *wanted)
{
	uint64_t h = wanted->rule;
	struct cached *set, *slot;

	h = (h ^ wanted->source) * 0x9e3779b97f4a7c15U;
	h = (h ^ wanted->argument ^ (h >> 29)) * 0x9e3779b97f4a7c15U;
	h = (h ^ wanted->service ^ (h >> 29)) * 0x9e3779b97f4a7c15U;
	set = &view->cache[(h >> 40) % (OFFERS_CACHED / OFFERS_WAYS) * OFFERS_WAYS];
	slot = &set[(h >> 20) % OFFERS_WAYS];
	for (uint32_t i = 0; i < OFFERS_WAYS; i++) {
		if (same_list(&set[i], wanted))
			return &set[i];
		if (!set[i].used)
			slot = &set[i];
	}
	return slot;
}

int offers_find(struct view *view, struct decision *decision)
{
	struct cached wanted = {
	        .service = decision->service_id,
	        .argument = decision->argument_id,
	        .source = decision->source,
	        .rule = policy_rule_index(view->policy, decision->rule),
	        .used = true,
	};
	struct cached *slot;

	if (!view->cache)
		view->cache = calloc(OFFERS_CACHED, sizeof(*view->cache));
	if (!view->cache)
		return -1;
	slot = cache_slot(view, &wanted);
	if (!same_list(slot, &wanted)) {
		/* A list that could not be made is not one without members: it is not kept. */
		if (build(view, decision, &wanted.offers))
			return -1;
		if (wanted.offers)
			set_default(view, decision, wanted.offers);
		wanted.ignored_default = decision->ignored_default;
		if (view->cache_members + (wanted.offers ? wanted.offers->n : 0) > OFFERS_MEMBERS)
			offers_drop_all(view);
		view->cache_members -= slot->offers ? slot->offers->n : 0;
		(void)offers_unref(slot->offers);
		*slot = wanted;
		view->cache_members += wanted.offers ? wanted.offers->n : 0;
	}
	decision->ignored_default = slot->ignored_default;
	decision->offers = slot->offers;
	return 0;
}
