/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-check: exit status 0 if all qubes are what was asked, 3 if some are, 1 if none is. */
#include <string.h>

#include "tools/qvm/qvm.h"

#define EXIT_NONE 1
#define EXIT_SOME 3

enum { ALL = ARG_OWN, EXCLUDE, RUNNING, PAUSED, TEMPLATE, NETWORKED, VMNAME };

static const struct arg table[] = {
        ARGS_COMMON,
        [ALL] = ARG_ROW_ALL,
        [EXCLUDE] = ARG_ROW_EXCLUDE,
        [RUNNING] = {ARG_FLAG, {"--running"}, .help = "check whether the qubes run"},
        [PAUSED] = {ARG_FLAG, {"--paused"}, .help = "check whether the qubes are paused"},
        [TEMPLATE] = {ARG_FLAG, {"--template"}, .help = "check whether the qubes are templates"},
        [NETWORKED] = {ARG_FLAG, {"--networked"}, .help = "check whether the qubes have a network"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

static const struct args_program program = {
        "qvm-check", "Tell whether qubes exist, run, are paused, are templates or have a network.",
        "Exit status: 0 all are, 3 some are, 1 none is.", table};

static bool is_paused(struct qube *qube)
{
	return strcmp(state_of(qube), "Paused") == 0;
}

static bool is_template(struct qube *qube)
{
	return strcmp(qube->class, "TemplateVM") == 0;
}

static bool property_true(struct qube *qube, const char *name, const char *wanted)
{
	struct admin_reply reply = admin_call("admin.vm.property.Get", name, qube->name, NULL);
	struct property property;

	fail_trace(&reply);
	if (reply.error || !property_decode(reply.content, &property))
		return false;
	return wanted ? strcmp(property.value, wanted) == 0 : *property.value != '\0';
}

static bool is_networked(struct qube *qube)
{
	return property_true(qube, "provides_network", "True") ||
	       property_true(qube, "netvm", NULL);
}

static const struct {
	int row;
	const char *word;
	bool (*check)(struct qube *qube);
} checks[] = {
        {RUNNING, "running", is_running},
        {PAUSED, "paused", is_paused},
        {TEMPLATE, "template", is_template},
        {NETWORKED, "networked", is_networked},
};

/* Those of the named qubes that exist. */
static struct qube_list existing(const struct args *args, const struct qubes *qubes)
{
	struct args known = *args;

	known.given[VMNAME] = (struct arg_given){0};
	known.given[VMNAME].items = arena_alloc((args->given[VMNAME].n + 1) * sizeof(char *));
	for (size_t i = 0; i < args->given[VMNAME].n; i++)
		if (qubes_find(qubes, args->given[VMNAME].items[i]) ||
		    strpbrk(args->given[VMNAME].items[i], "*?["))
			known.given[VMNAME].items[known.given[VMNAME].n++] =
			        args->given[VMNAME].items[i];
	return qubes_named(&known, qubes, VMNAME, ALL, EXCLUDE);
}

static bool exists(const struct qube_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i]->name, name) == 0)
			return true;
	return false;
}

static int check_existence(const struct args *args, const struct qube_list *list, bool quiet)
{
	size_t missing = 0;

	if (args_has(args, ALL))
		for (size_t i = 0; i < list->n && !quiet; i++)
			err_printf("qvm-check: %s: exists\n", list->items[i]->name);
	for (size_t i = 0; i < args->given[VMNAME].n; i++) {
		const char *name = args->given[VMNAME].items[i];
		bool there = exists(list, name);

		missing += !there;
		if (!quiet)
			err_printf("qvm-check: %s: %s\n", name, there ? "exists" : "non-existent!");
	}
	return missing ? 1 : 0;
}

int qvm_check_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	bool quiet = args_has(args, ARG_QUIET);
	struct qubes qubes;
	struct qube_list list;
	size_t checked = ARRAY_LEN(checks), matched = 0;

	if (!args->given[VMNAME].n && !args_has(args, ALL))
		args_error(&program, "one of VMNAME and --all is required");
	qubes = qubes_or_fail(&program);
	list = existing(args, &qubes);
	for (size_t i = 0; i < ARRAY_LEN(checks) && checked == ARRAY_LEN(checks); i++)
		if (args_has(args, checks[i].row))
			checked = i;
	if (checked == ARRAY_LEN(checks))
		return check_existence(args, &list, quiet);
	for (size_t i = 0; i < list.n; i++) {
		if (!checks[checked].check(list.items[i]))
			continue;
		matched++;
		if (!quiet)
			err_printf("qvm-check: %s: %s\n", list.items[i]->name,
			           checks[checked].word);
	}
	if (matched == 0 && !quiet)
		err_printf("qvm-check: None of qubes: %s\n", checks[checked].word);
	return matched == 0 ? EXIT_NONE : matched < list.n ? EXIT_SOME : 0;
}
