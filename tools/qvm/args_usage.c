/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Usage and help texts of args.h: where argparse breaks its lines. */
#include "tools/qvm/args.h"

#include "tools/qvm/out.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HELP_COLUMN_MAX 24 /* where the texts of --help begin at most */
#define WIDTH_LEAST     11

static size_t terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	long width = columns ? strtol(columns, NULL, 10) : 0;
	struct winsize size;

	if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width <= 0)
		width = 80;
	return (size_t)MAX(width - 2, WIDTH_LEAST);
}

static const char *metavar_of(const struct arg *arg)
{
	struct text_list names = {0};

	if (arg->metavar && arg->kind != ARG_COMMANDS)
		return arg->metavar;
	for (size_t i = 0; arg->choices && arg->choices[i]; i++)
		text_list_add(&names, arg->choices[i]);
	return arena_printf("{%s}", text_list_join(&names, ","));
}

/* The arguments of a row: "LABEL", "[LABEL]", "LABEL [LABEL ...]". */
static const char *arguments_text(const struct arg *arg)
{
	const char *metavar;

	if (arg->kind == ARG_FLAG)
		return "";
	metavar = metavar_of(arg);
	switch (arg->kind) {
	case ARG_MAYBE:
	case ARG_ONE_MAYBE:
		return arena_printf("[%s]", metavar);
	case ARG_MANY:
		return arena_printf("%s [%s ...]", metavar, metavar);
	case ARG_ANY:
		return arena_printf("[%s ...]", metavar);
	case ARG_REST:
		return "...";
	case ARG_COMMANDS:
		return arena_printf("%s ...", metavar);
	case ARG_END:
	case ARG_ABSENT:
	case ARG_FLAG:
	case ARG_VALUE:
	case ARG_ONE:
		break;
	}
	return metavar;
}

static const char *option_text(const struct arg *arg)
{
	const char *arguments = arguments_text(arg);

	return *arguments ? arena_printf("%s %s", arg->names[0], arguments) : arg->names[0];
}

/* The pieces of a usage that are never broken: options with their values, groups, positionals. */
static struct text_list usage_parts(const struct args_program *program, bool options)
{
	struct text_list parts = {0};
	const struct arg *arg = program->table;

	for (; arg->kind != ARG_END; arg++) {
		struct text_list group = {0};

		if (!arg->help || arg_is_option(arg) != options)
			continue;
		if (!options) {
			text_list_add(&parts, arguments_text(arg));
			continue;
		}
		text_list_add(&group, option_text(arg));
		while (arg->group && arg[1].kind != ARG_END && arg[1].group == arg->group)
			text_list_add(&group, option_text(++arg));
		text_list_add(&parts, arena_printf("[%s]", text_list_join(&group, " | ")));
	}
	return parts;
}

/* Words in lines of at most @width columns, each line behind @indent spaces. */
static struct text_list lines_wrap(const struct text_list *parts, size_t indent, size_t width)
{
	struct text_list lines = {0}, line = {0};
	size_t used = indent - 1;

	for (size_t i = 0; i < parts->n; i++) {
		size_t len = out_width(parts->items[i]);

		if (used + 1 + len > width && line.n) {
			text_list_add(&lines, arena_printf("%*s%s", (int)indent, "",
			                                   text_list_join(&line, " ")));
			line = (struct text_list){0};
			used = indent - 1;
		}
		text_list_add(&line, parts->items[i]);
		used += len + 1;
	}
	if (line.n)
		text_list_add(&lines,
		              arena_printf("%*s%s", (int)indent, "", text_list_join(&line, " ")));
	return lines;
}

static void list_append(struct text_list *list, const struct text_list *more)
{
	for (size_t i = 0; i < more->n; i++)
		text_list_add(list, more->items[i]);
}

const char *args_usage(const struct args_program *program)
{
	const char *name = args_name(program);
	struct text_list options = usage_parts(program, true);
	struct text_list positionals = usage_parts(program, false), lines, more, all = {0};
	size_t width = terminal_width(), prefix = strlen("usage: ");
	size_t indent = prefix + strlen(name) + 1;
	const char *line;

	text_list_add(&all, name);
	list_append(&all, &options);
	list_append(&all, &positionals);
	line = text_list_join(&all, " ");
	if (prefix + strlen(line) <= width)
		return arena_printf("usage: %s\n", line);
	if (indent - 1 > width * 3 / 4) { /* the name alone is too long: all below it */
		indent = prefix;
		lines = (struct text_list){0};
		text_list_add(&lines, arena_printf("%*s%s", (int)prefix, "", name));
		more = lines_wrap(&options, indent, width);
		list_append(&lines, &more);
	} else {
		/* The first line has the name where the others have their indent. */
		lines = lines_wrap(options.n ? &options : &positionals, indent, width);
		lines.items[0] =
		        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is always a first line */
		        arena_printf("%*s%s %s", (int)prefix, "", name, lines.items[0] + indent);
		if (!options.n)
			positionals.n = 0;
	}
	more = lines_wrap(&positionals, indent, width);
	list_append(&lines, &more);
	return arena_printf("usage: %s\n", text_list_join(&lines, "\n") + prefix);
}

static struct text_list words_of(const char *text)
{
	struct text_list words = {0};

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (len)
			text_list_add(&words, arena_copy(text, len));
		text += len + (text[len] != '\0');
	}
	return words;
}

static const char *help_names(const struct arg *arg)
{
	const char *arguments = arguments_text(arg);
	struct text_list names = {0};

	if (!arg_is_option(arg))
		return arg->kind == ARG_COMMANDS ? metavar_of(arg) : arg->metavar;
	for (int i = 0; i < ARG_NAMES_MAX && arg->names[i]; i++)
		text_list_add(&names, *arguments ? arena_printf("%s %s", arg->names[i], arguments)
		                                 : arg->names[i]);
	return text_list_join(&names, ", ");
}

static const char *help_rows(const struct args_program *program, bool options, size_t column)
{
	struct text_list text = {0};

	for (const struct arg *arg = program->table; arg->kind != ARG_END; arg++) {
		struct text_list words, lines;
		const char *names;

		if (!arg->help || arg_is_option(arg) != options)
			continue;
		names = help_names(arg);
		words = words_of(arg->help);
		lines = lines_wrap(&words, column, terminal_width());
		if (lines.n && out_width(names) + 4 <= column)
			lines.items[0] = arena_printf("  %-*s%s", (int)column - 2, names,
			                              lines.items[0] + column);
		else
			text_list_add(&text, arena_printf("  %s", names));
		list_append(&text, &lines);
	}
	return text.n ? arena_printf("\n%s:\n%s\n", options ? "options" : "positional arguments",
	                             text_list_join(&text, "\n"))
	              : "";
}

static const char *paragraph(const char *text)
{
	struct text_list words = words_of(text ? text : ""), lines;
	size_t width = terminal_width();

	/* Indented by one and cut: a paragraph has no indent. */
	lines = lines_wrap(&words, 1, width + 1);
	for (size_t i = 0; i < lines.n; i++)
		lines.items[i]++;
	return lines.n ? arena_printf("\n%s\n", text_list_join(&lines, "\n")) : "";
}

const char *args_help(const struct args_program *program)
{
	size_t column = 0;

	for (const struct arg *arg = program->table; arg->kind != ARG_END; arg++)
		if (arg->help)
			column = MAX(column, out_width(help_names(arg)) + 4);
	column = MIN(column, (size_t)HELP_COLUMN_MAX);
	return arena_printf("%s%s%s%s%s", args_usage(program), paragraph(program->description),
	                    help_rows(program, false, column), help_rows(program, true, column),
	                    paragraph(program->epilog));
}

const char *args_describe(const struct args_program *program)
{
	struct text_list rows = {0};

	for (const struct arg *arg = program->table; arg->kind != ARG_END; arg++) {
		struct text_list names = {0};

		if (!arg->help)
			continue;
		for (int i = 0; i < ARG_NAMES_MAX && arg->names[i]; i++)
			text_list_add(&names, json_text(arg->names[i]));
		text_list_add(
		        &rows,
		        arena_printf(
		                "{\"names\": [%s], \"arguments\": %s, \"group\": %d, \"help\": %s}",
		                text_list_join(&names, ", "), json_text(arguments_text(arg)),
		                arg->group, json_text(arg->help)));
	}
	return arena_printf("{\"name\": %s, \"description\": %s, \"epilog\": %s, \"rows\": [%s]}\n",
	                    json_text(program->name), json_text(program->description),
	                    program->epilog ? json_text(program->epilog) : "null",
	                    text_list_join(&rows, ", "));
}
