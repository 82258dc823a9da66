/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-tags */
#include <string.h>

#include "tools/qvm/qvm.h"

static const char *const actions[] = {"list", "ls", "l",     "add", "a", "set",
                                      "del",  "d",  "unset", "u",   NULL};

enum { VMNAME = ARG_OWN, ACTION };

static const struct arg table[] = {
        ARGS_COMMON,
        [VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        [ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                    .help = "list [TAG] (the default), add TAG ..., del TAG ..."},
        {ARG_END},
};

static const struct args_program program = {"qvm-tags", "Show and change the tags of a qube.", NULL,
                                            table};

static int list(const char *qube, const struct arg_given *words)
{
	struct admin_reply reply;
	static const char *const keys[] = {"tag"};
	struct table shown = table_new(1, keys);
	struct text_list tags;

	if (words->n > 1) {
		reply = call_or_fail(&program, "admin.vm.tag.Get", words->items[1], qube, NULL);
		if (strcmp(reply.content, "1") != 0)
			return 1;
		out_printf("%s\n", words->items[1]);
		return 0;
	}
	reply = call_or_fail(&program, "admin.vm.tag.List", NULL, qube, NULL);
	tags = text_list_lines(reply.content);
	text_list_sort(&tags);
	for (size_t i = 0; i < tags.n; i++)
		*table_row(&shown) = tags.items[i];
	table_print(&shown);
	return 0;
}

/* Removing a tag that is not there is done already. */
static int change(const char *qube, const struct arg_given *words, bool add)
{
	if (words->n < 2)
		args_error(&program, "the following arguments are required: TAG");
	for (size_t i = 1; i < words->n; i++) {
		struct admin_reply reply =
		        admin_call(add ? "admin.vm.tag.Set" : "admin.vm.tag.Remove",
		                   words->items[i], qube, NULL);

		if (reply.error && !(!add && admin_error_is(&reply, ADMIN_ERROR_NO_TAG)))
			fail_reply(&program, &reply);
	}
	return 0;
}

static int run(const char *qube, const struct arg_given *words)
{
	const char *action = words->n ? words->items[0] : "list";

	if (*action == 'l')
		return list(qube, words);
	return change(qube, words, *action == 'a' || *action == 's');
}

int qvm_tags_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	struct qubes qubes = qubes_or_fail(&program);

	return run(qube_named(args, &qubes, VMNAME)->name, &args->given[ACTION]);
}
