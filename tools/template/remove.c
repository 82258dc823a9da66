/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template remove, purge. */
#include <string.h>

#include "tools/template/template.h"

#define DUMMY "dummy"

enum { DISASSOC = ARG_OWN, NAMES };

#define ROW_NAMES                                                                                  \
	[NAMES] = {ARG_ANY, .metavar = "TEMPLATE", .help = "name of an installed template"}

static const struct arg remove_table[] = {
        ARGS_COMMON,
        [DISASSOC] = {ARG_FLAG,
                      {"--disassoc"},
                      .help = "give qubes that are made from it a template without content"},
        ROW_NAMES,
        {ARG_END},
};
static const struct arg purge_table[] = {
        ARGS_COMMON,
        [DISASSOC] = {ARG_ABSENT},
        ROW_NAMES,
        {ARG_END},
};

/* Properties that name a qube; the first is what ties a qube to its template. */
static const char *const references[] = {"template", "default_dispvm", "management_dispvm",
                                         "netvm",    "guivm",          "audiovm"};
static const char *const system_references[] = {"default_template",  "default_dispvm",
                                                "management_dispvm", "default_netvm",
                                                "default_guivm",     "default_audiovm",
                                                "clockvm",           "updatevm"};

static bool call_said(const char *method, const char *argument, const char *target,
                      const char *payload)
{
	struct admin_reply reply = admin_call(method, argument, target, payload);

	if (reply.error)
		err_printf("%s: %s\n", target, admin_error_shown(&reply));
	return !reply.error;
}

static bool is_in(const struct text_list *list, const char *name)
{
	return name && text_list_has(list, name);
}

/* With these, all that is made from them, and from that; users come after what they use. */
static void add_users(const struct qubes *qubes, struct text_list *names)
{
	for (size_t i = 0; i < names->n; i++) {
		for (size_t j = 0; j < qubes->n; j++) {
			struct qube *qube = &qubes->items[j];
			const char *template =
			        is_dom0(qube) ? NULL : qube_property(qube, "template");

			if (template && strcmp(template, names->items[i]) == 0 &&
			    !text_list_has(names, qube->name))
				text_list_add(names, qube->name);
		}
	}
}

static struct text_list names_of(const struct args *args, const struct qubes *qubes)
{
	struct qube_list list = qubes_named(args, qubes, NAMES, -1, -1);
	struct text_list names = {0};

	if (!args->given[NAMES].n)
		args_error(args->program, "the following arguments are required: TEMPLATE");
	for (size_t i = 0; i < list.n; i++) {
		if (strcmp(list.items[i]->class, "TemplateVM") != 0)
			fail(args->program, "%s is not a template", list.items[i]->name);
		text_list_add(&names, list.items[i]->name);
	}
	return names;
}

static bool agreed(const struct template_options *options, const struct text_list *names)
{
	if (options->yes)
		return true;
	err_printf("This will completely remove the selected VM(s)...\n");
	for (size_t i = 0; i < names->n; i++)
		out_printf("  %s\n", names->items[i]);
	if (confirm())
		return true;
	err_printf("Remove cancelled.\n");
	return false;
}

/* A template that holds a place: without a system in it. */
static bool make_dummy(const struct qubes *qubes)
{
	if (qubes_find(qubes, DUMMY)) {
		struct admin_reply reply =
		        admin_call("admin.vm.feature.Get", "template-dummy", DUMMY, NULL);

		if (!reply.error)
			return true;
		err_printf("%s: there is a qube of this name, and it is not the template without "
		           "content\n",
		           DUMMY);
		return false;
	}
	return call_said("admin.vm.Create.TemplateVM", NULL, "dom0", "name=" DUMMY " label=red") &&
	       call_said("admin.vm.feature.Set", "template-dummy", DUMMY, "1");
}

static bool disassociate(const struct qubes *qubes, const struct text_list *names)
{
	bool good = true;

	for (size_t i = 0; i < qubes->n; i++) {
		struct qube *qube = &qubes->items[i];
		const char *template = is_dom0(qube) ? NULL : qube_property(qube, "template");

		if (is_in(names, template) && !is_in(names, qube->name))
			good = call_said("admin.vm.property.Set", "template", qube->name, DUMMY) &&
			       good;
	}
	return good;
}

/* Nothing that stays names them any more. */
static bool forget(const struct qubes *qubes, const struct text_list *names)
{
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(system_references); i++) {
		struct admin_reply reply =
		        admin_call("admin.property.Get", system_references[i], "dom0", NULL);
		struct property value;

		if (!reply.error && property_decode(reply.content, &value) &&
		    is_in(names, value.value))
			good = call_said("admin.property.Set", system_references[i], "dom0", "") &&
			       good;
	}
	for (size_t i = 0; i < qubes->n; i++) {
		struct qube *qube = &qubes->items[i];

		for (size_t j = 1; j < ARRAY_LEN(references); j++) {
			if (is_dom0(qube) || is_in(names, qube->name) ||
			    !is_in(names, qube_property(qube, references[j])))
				continue;
			good = call_said("admin.vm.property.Set", references[j], qube->name, "") &&
			       good;
		}
	}
	return good;
}

static bool all_halted(const struct qubes *qubes, const struct text_list *names)
{
	bool good = true;

	for (size_t i = 0; i < names->n; i++) {
		struct qube *qube = qubes_find(qubes, names->items[i]);

		if (qube && is_running(qube)) {
			err_printf("%s: shut it down first\n", qube->name);
			good = false;
		}
	}
	return good;
}

/* Among themselves they go from the last, which none of the others is made from. */
static bool remove_all(const struct text_list *names)
{
	bool good = true;

	for (size_t i = names->n; i-- > 0;)
		good = call_said("admin.vm.Remove", NULL, names->items[i], NULL) && good;
	return good;
}

static bool none_used(const struct qubes *qubes, const struct text_list *names)
{
	struct text_list all = {0};

	for (size_t i = 0; i < names->n; i++)
		text_list_add(&all, names->items[i]);
	add_users(qubes, &all);
	for (size_t i = names->n; i < all.n; i++)
		err_printf("%s: made from it; --disassoc gives it another template, 'purge' "
		           "removes it\n",
		           all.items[i]);
	return all.n == names->n;
}

int template_remove(const struct template_options *options, const char *command, int argc,
                    const char *const *argv)
{
	bool purge = strcmp(command, "purge") == 0;
	const struct args_program program = {
	        arena_printf("qvm-template %s", command),
	        purge ? "Remove templates and all qubes that are made from them."
	              : "Remove templates.",
	        NULL, purge ? purge_table : remove_table};
	const struct args *args = args_parse(&program, argc, argv);
	struct text_list names;
	struct qubes qubes;

	cache_lock(options);
	qubes = qubes_or_fail(&program);
	names = names_of(args, &qubes);
	if (purge)
		add_users(&qubes, &names);
	else if (!args_has(args, DISASSOC) && !none_used(&qubes, &names))
		return 1;
	if (!all_halted(&qubes, &names) || !agreed(options, &names))
		return 1;
	if (!purge && args_has(args, DISASSOC) &&
	    (!make_dummy(&qubes) || !disassociate(&qubes, &names)))
		return 1;
	if ((purge || args_has(args, DISASSOC)) && !forget(&qubes, &names))
		return 1;
	return remove_all(&names) ? 0 : 1;
}
