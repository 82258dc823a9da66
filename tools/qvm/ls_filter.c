/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which qubes qvm-ls lists. */
#include <fnmatch.h>
#include <string.h>

#include "tools/qvm/ls.h"

/* Leaves the qubes for which a test is true. */
static void keep(struct ls *ls, const struct args *args, int row,
                 bool (*test)(struct ls *ls, struct qube *qube, size_t i, const struct args *args,
                              int row))
{
	size_t left = 0;

	for (size_t i = 0; i < ls->n; i++)
		if (test(ls, ls->shown[i], i, args, row))
			ls->shown[left++] = ls->shown[i];
	ls->n = left;
}

static bool among(const struct args *args, int row, const char *text)
{
	for (size_t i = 0; i < args->given[row].n; i++)
		if (strcmp(args->given[row].items[i], text) == 0)
			return true;
	return false;
}

static bool is_not_excluded(struct ls *ls, struct qube *qube, size_t i, const struct args *args,
                            int row)
{
	(void)ls, (void)i;
	for (size_t j = 0; j < args->given[row].n; j++)
		if (fnmatch(args->given[row].items[j], qube->name, 0) == 0)
			return false;
	return true;
}

static bool has_class(struct ls *ls, struct qube *qube, size_t i, const struct args *args, int row)
{
	(void)ls, (void)i;
	return among(args, row, qube->class);
}

static bool has_state(struct ls *ls, struct qube *qube, size_t i, const struct args *args, int row)
{
	const char *state = ls_state(ls, qube);

	(void)i, (void)row;
	return (args_has(args, LS_RUNNING) && strcmp(state, "Running") == 0) ||
	       (args_has(args, LS_PAUSED) && strcmp(state, "Paused") == 0) ||
	       (args_has(args, LS_HALTED) && strcmp(state, "Halted") == 0);
}

static bool has_property(struct ls *ls, struct qube *qube, size_t i, const struct args *args,
                         int row)
{
	static const char *const names[] = {
	        [LS_LABEL] = "label", [LS_TEMPLATE_SOURCE] = "template", [LS_NETVM_IS] = "netvm"};
	const char *value = qube_property(qube, names[row]);

	(void)ls, (void)i;
	return value && among(args, row, value);
}

static bool has_prefs(struct ls *ls, struct qube *qube, size_t i, const struct args *args, int row)
{
	(void)ls, (void)i;
	for (size_t j = 0; j < args->given[row].n; j++) {
		const char *wanted = args->given[row].items[j];
		const char *equals = strchr(wanted, '=');
		const char *value;

		if (!equals)
			args_error(args->program, "--prefs wants PREFERENCE=VALUE: %s",
			           text_repr(wanted));
		value = qube_property(qube, arena_copy(wanted, (size_t)(equals - wanted)));
		if (strcmp(value ? value : "", equals + 1) != 0)
			return false;
	}
	return true;
}

/* Tags of the qubes, asked for together; those that are left match. */
static void keep_tagged(struct ls *ls, const struct args *args, int row, bool wanted)
{
	struct admin_request *requests = arena_alloc((ls->n + 1) * sizeof(*requests));
	size_t left = 0;

	for (size_t i = 0; i < ls->n; i++)
		requests[i] = (struct admin_request){.method = "admin.vm.tag.List",
		                                     .target = ls->shown[i]->name};
	admin_call_all(requests, ls->n);
	for (size_t i = 0; i < ls->n; i++) {
		struct text_list tags = text_list_lines(requests[i].reply.content);
		bool has = false;

		for (size_t j = 0; j < tags.n; j++)
			has = has || among(args, row, tags.items[j]);
		if (has == wanted)
			ls->shown[left++] = ls->shown[i];
	}
	ls->n = left;
}

/* Those whose feature has a value; value NULL: is on (set and not empty), @on says which are wanted. */
static void keep_feature(struct ls *ls, const char *feature, const char *value, bool on)
{
	struct admin_request *requests = arena_alloc((ls->n + 1) * sizeof(*requests));
	size_t left = 0;

	for (size_t i = 0; i < ls->n; i++)
		requests[i] = (struct admin_request){.method = "admin.vm.feature.Get",
		                                     .argument = feature,
		                                     .target = ls->shown[i]->name};
	admin_call_all(requests, ls->n);
	for (size_t i = 0; i < ls->n; i++) {
		const struct admin_reply *reply = &requests[i].reply;
		bool has = !reply->error &&
		           (value ? strcmp(reply->content, value) == 0 : *reply->content != '\0');

		if (has == on)
			ls->shown[left++] = ls->shown[i];
	}
	ls->n = left;
}

static void keep_switch(struct ls *ls, const struct args *args, int row, const char *feature)
{
	const char *word = args_value(args, row);

	if (word)
		keep_feature(ls, feature, NULL, *word == 'y');
}

static void keep_features(struct ls *ls, const struct args *args)
{
	for (size_t i = 0; i < args->given[LS_FEATURES].n; i++) {
		const char *wanted = args->given[LS_FEATURES].items[i];
		const char *equals = strchr(wanted, '=');

		if (!equals)
			args_error(args->program, "--features wants FEATURE=VALUE: %s",
			           text_repr(wanted));
		keep_feature(ls, arena_copy(wanted, (size_t)(equals - wanted)), equals + 1, true);
	}
}

/* The properties of --prefs PREFERENCE=VALUE, a line each. */
static const char *prefs_named(const struct args *args)
{
	const char *names = "";

	for (size_t i = 0; i < args->given[LS_PREFS].n; i++) {
		const char *wanted = args->given[LS_PREFS].items[i];

		names = arena_printf("%s%.*s\n", names, (int)strcspn(wanted, "="), wanted);
	}
	return names;
}

void ls_filter(struct ls *ls, const struct args *args)
{
	static const int properties[] = {LS_LABEL, LS_TEMPLATE_SOURCE, LS_NETVM_IS};

	if (args_has(args, LS_EXCLUDE))
		keep(ls, args, LS_EXCLUDE, is_not_excluded);
	if (args_has(args, LS_CLASS))
		keep(ls, args, LS_CLASS, has_class);
	if (args_has(args, LS_RUNNING) || args_has(args, LS_PAUSED) || args_has(args, LS_HALTED))
		keep(ls, args, 0, has_state);
	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		if (!args_has(args, properties[i]))
			continue;
		ls_load(ls, LS_NEED_PROPERTIES, "label\ntemplate\nnetvm");
		keep(ls, args, properties[i], has_property);
	}
	if (args_has(args, LS_PREFS)) {
		ls_load(ls, LS_NEED_PROPERTIES, prefs_named(args));
		keep(ls, args, LS_PREFS, has_prefs);
	}
	if (args_has(args, LS_TAGS))
		keep_tagged(ls, args, LS_TAGS, true);
	if (args_has(args, LS_EXCLUDE_TAGS))
		keep_tagged(ls, args, LS_EXCLUDE_TAGS, false);
	keep_switch(ls, args, LS_INTERNAL, "internal");
	keep_switch(ls, args, LS_SERVICEVM, "servicevm");
	if (args_has(args, LS_PENDING_UPDATE))
		keep_feature(ls, "updates-available", NULL, true);
	keep_features(ls, args);
}
