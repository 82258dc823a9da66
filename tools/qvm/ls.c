/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-ls */
#include "tools/qvm/ls.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const yes_no[] = {"y", "n", NULL};

#define FLAG(name, text)                                                                           \
	{                                                                                          \
		ARG_FLAG, {name}, .help = text                                                     \
	}
#define MANY(name, what, text)                                                                     \
	{                                                                                          \
		ARG_MANY, {name}, .metavar = what, .help = text                                    \
	}
#define VALUE(name, what, text)                                                                    \
	{                                                                                          \
		ARG_VALUE, {name}, .metavar = what, .help = text                                   \
	}

static const struct arg table[] = {
        ARGS_COMMON,
        [LS_ALL] = FLAG("--all", "list all qubes; the default"),
        [LS_EXCLUDE] = VALUE("--exclude", "EXCLUDE", "leave this qube out; shell patterns too"),
        [LS_FORMAT] = {ARG_VALUE,
                       {"--format", "-o"},
                       .metavar = "FORMAT",
                       .help = "named list of columns: --help-formats"},
        [LS_FIELDS] = {ARG_VALUE,
                       {"--fields", "-O"},
                       .metavar = "FIELD,...",
                       .help = "columns: --help-columns"},
        [LS_TREE] = {ARG_FLAG,
                     {"--tree", "-t"},
                     .help = "sort by network, each qube below the one that gives it its network"},
        [LS_RAW_DATA] = FLAG("--raw-data", "columns separated by |, no heading"),
        [LS_RAW_LIST] = FLAG("--raw-list", "names only, one a line"),
        [LS_DISK] = {ARG_FLAG, {"--disk", "-d"}, .help = "as --format=disk"},
        [LS_NETWORK] = {ARG_FLAG, {"--network", "-n"}, .help = "as --format=network"},
        [LS_KERNEL] = {ARG_FLAG, {"--kernel", "-k"}, .help = "as --format=kernel"},
        [LS_HELP_FORMATS] = FLAG("--help-formats", "list the formats"),
        [LS_HELP_COLUMNS] = FLAG("--help-columns", "list the columns"),
        [LS_CLASS] = MANY("--class", "CLASS", "only qubes of these classes"),
        [LS_LABEL] = MANY("--label", "LABEL", "only qubes with one of these labels"),
        [LS_TAGS] = MANY("--tags", "TAG", "only qubes with one of these tags"),
        [LS_EXCLUDE_TAGS] = MANY("--exclude-tags", "TAG", "no qubes with one of these tags"),
        [LS_RUNNING] = FLAG("--running", "only qubes that run"),
        [LS_PAUSED] = FLAG("--paused", "only paused qubes"),
        [LS_HALTED] = FLAG("--halted", "only halted qubes"),
        [LS_TEMPLATE_SOURCE] =
                MANY("--template-source", "TEMPLATE", "only qubes of these templates"),
        [LS_NETVM_IS] = MANY("--netvm-is", "NETVM", "only qubes that get their network from these"),
        [LS_INTERNAL] = {ARG_VALUE,
                         {"--internal"},
                         .metavar = "<y|n>",
                         .choices = yes_no,
                         .help = "only internal qubes, or none of them"},
        [LS_SERVICEVM] = {ARG_VALUE,
                          {"--servicevm"},
                          .metavar = "<y|n>",
                          .choices = yes_no,
                          .help = "only service qubes, or none of them"},
        [LS_PENDING_UPDATE] = FLAG("--pending-update", "only qubes with updates"),
        [LS_FEATURES] = MANY("--features", "FEATURE=VALUE", "only qubes with these features"),
        [LS_PREFS] = MANY("--prefs", "PREFERENCE=VALUE", "only qubes with these properties"),
        [LS_SORT] = VALUE("--sort", "COLUMN", "sort by this column"),
        [LS_REVERSE] = FLAG("--reverse", "sort the other way round"),
        [LS_IGNORE_CASE] = FLAG("--ignore-case", "capitals do not count when sorting"),
        [LS_SPINNER] = FLAG("--spinner", "taken for old scripts: there is nothing to wait for"),
        [LS_NO_SPINNER] = FLAG("--no-spinner", "taken for old scripts"),
        [LS_VMNAME] = {ARG_ANY, .metavar = "VMNAME",
                       .help = "only these qubes; shell patterns too"},
        {ARG_END},
};

static const struct args_program program = {"qvm-ls", "List qubes.", NULL, table};

/* A row of the listing. */
struct row {
	struct qube *qube;
	const char **cells;
};

static const char *columns_wanted(const struct args *args)
{
	const char *format = args_value(args, LS_FORMAT);
	const char *columns;

	if (args_has(args, LS_FIELDS))
		return args_value(args, LS_FIELDS);
	if (!format)
		format = args_has(args, LS_DISK)      ? "disk"
		         : args_has(args, LS_NETWORK) ? "network"
		         : args_has(args, LS_KERNEL)  ? "kernel"
		                                      : "simple";
	columns = ls_format(format);
	if (!columns)
		args_error(&program, "no such format: %s; --help-formats lists them",
		           text_repr(format));
	return columns;
}

/* What rows are sorted by: a text, as a number where all are numbers. */
static struct {
	size_t column;
	bool numbers, ignore_case, reverse;
} order;

static int compare_rows(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	const char *x = left->cells[order.column], *y = right->cells[order.column];
	int r = 0;

	if (order.numbers) {
		double n = strtod(x, NULL), m = strtod(y, NULL);

		r = (n > m) - (n < m);
	} else {
		r = order.ignore_case ? strcasecmp(x, y) : strcmp(x, y);
	}
	if (r == 0)
		r = strcmp(left->qube->name, right->qube->name);
	return order.reverse ? -r : r;
}

static bool is_number_or_none(const char *text)
{
	return strcmp(text, "-") == 0 || (*text && strspn(text, "0123456789.%") == strlen(text));
}

static void rows_sort(const struct ls *ls, struct row *rows, const struct args *args)
{
	const char *by = args_value(args, LS_SORT);
	size_t n, at = 0;
	const struct ls_column *wanted;

	order.reverse = args_has(args, LS_REVERSE);
	order.ignore_case = args_has(args, LS_IGNORE_CASE);
	if (by) {
		wanted = ls_columns(by, &n);
		while (at < ls->n_columns && strcmp(ls->columns[at].heading, wanted->heading) != 0)
			at++;
		if (at == ls->n_columns)
			args_error(&program, "--sort: %s is not among the columns shown",
			           text_repr(by));
		order.column = at;
		order.numbers = true;
		for (size_t i = 0; i < ls->n; i++)
			order.numbers = order.numbers && is_number_or_none(rows[i].cells[at]);
	}
	if (ls->n && (by || order.reverse || order.ignore_case))
		qsort(rows, ls->n, sizeof(*rows), compare_rows);
}

static const char *netvm_of(const struct row *row)
{
	return qube_property(row->qube, "netvm");
}

static bool is_listed(const struct ls *ls, const struct row *rows, const char *name)
{
	for (size_t i = 0; name && i < ls->n; i++)
		if (strcmp(rows[i].qube->name, name) == 0)
			return true;
	return false;
}

static bool has_children(const struct ls *ls, const struct row *rows, const char *name)
{
	for (size_t i = 0; i < ls->n; i++)
		if (netvm_of(&rows[i]) && strcmp(netvm_of(&rows[i]), name) == 0)
			return true;
	return false;
}

#define TREE_DEPTH_MAX                                                                             \
	32 /* a loop in the network is refused by the service; this ends one anyway */

/* Adds those below a qube to the order. */
static void tree_below(const struct ls *ls, const struct row *rows, const char *name, int depth,
                       struct row *sorted, size_t *at)
{
	for (size_t i = 0; i < ls->n && *at < ls->n && depth < TREE_DEPTH_MAX; i++) {
		const char *netvm = netvm_of(&rows[i]);

		if (!netvm || strcmp(netvm, name) != 0)
			continue;
		sorted[*at] = rows[i];
		for (size_t c = 0; c < ls->n_columns; c++)
			if (strcmp(ls->columns[c].heading, "NAME") == 0)
				sorted[*at].cells[c] =
				        arena_printf("%*s└─%s", 2 * depth, "", rows[i].qube->name);
		(*at)++;
		tree_below(ls, rows, rows[i].qube->name, depth + 1, sorted, at);
	}
}

/* First those that are in no network, then each network from its top. */
static size_t rows_tree(const struct ls *ls, const struct row *rows, struct row *sorted)
{
	size_t at = 0;

	for (int parents = 0; parents < 2; parents++) {
		for (size_t i = 0; i < ls->n && at < ls->n; i++) {
			if (is_listed(ls, rows, netvm_of(&rows[i])) ||
			    has_children(ls, rows, rows[i].qube->name) != (parents == 1))
				continue;
			sorted[at++] = rows[i];
			tree_below(ls, rows, rows[i].qube->name, 0, sorted, &at);
		}
	}
	return at;
}

static struct row *rows_make(struct ls *ls)
{
	struct row *rows = arena_alloc((ls->n + 1) * sizeof(*rows));

	for (size_t i = 0; i < ls->n; i++) {
		rows[i].qube = ls->shown[i];
		rows[i].cells = arena_alloc(ls->n_columns * sizeof(char *));
		for (size_t c = 0; c < ls->n_columns; c++)
			rows[i].cells[c] = ls->columns[c].cell(ls, ls->shown[i], &ls->columns[c]);
	}
	return rows;
}

static void print_raw(const struct ls *ls, const struct row *rows)
{
	for (size_t i = 0; i < ls->n; i++)
		for (size_t c = 0; c < ls->n_columns; c++)
			out_printf("%s%s", rows[i].cells[c], c + 1 < ls->n_columns ? "|" : "\n");
}

static const char *const *headings_of(const struct ls *ls)
{
	const char **headings = arena_alloc(ls->n_columns * sizeof(*headings));

	for (size_t c = 0; c < ls->n_columns; c++)
		headings[c] = ls->columns[c].heading;
	return headings;
}

static void print_table(const struct ls *ls, const struct row *rows, size_t n)
{
	struct table table_out = table_new(ls->n_columns, headings_of(ls));
	const char **cells = table_row(&table_out);

	table_out.heading = true;
	memcpy(cells, table_out.keys, ls->n_columns * sizeof(*cells));
	for (size_t i = 0; i < n; i++) {
		cells = table_row(&table_out);
		for (size_t c = 0; c < ls->n_columns; c++)
			cells[c] = rows[i].cells[c];
	}
	table_print(&table_out);
}

static void print_all(struct ls *ls, const struct args *args)
{
	unsigned int needs = 0;
	struct row *rows, *sorted;
	size_t n;

	ls->columns = ls_columns(columns_wanted(args), &ls->n_columns);
	for (size_t c = 0; c < ls->n_columns; c++)
		needs |= ls->columns[c].needs;
	if (args_has(args, LS_TREE))
		needs |= LS_NEED_PROPERTIES;
	ls_load(ls, needs, "netvm");
	rows = rows_make(ls);
	rows_sort(ls, rows, args);
	if (args_has(args, LS_RAW_DATA)) {
		print_raw(ls, rows);
	} else if (args_has(args, LS_TREE)) {
		sorted = arena_alloc((ls->n + 1) * sizeof(*sorted));
		n = rows_tree(ls, rows, sorted);
		print_table(ls, sorted, n);
	} else {
		print_table(ls, rows, ls->n);
	}
}

static int compare_shown(const void *a, const void *b)
{
	return strcmp((*(struct qube *const *)a)->name, (*(struct qube *const *)b)->name);
}

int qvm_ls_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	struct ls ls = {0};
	struct qubes qubes;

	if (args_has(args, LS_HELP_FORMATS)) {
		ls_formats_print();
		return 0;
	}
	if (args_has(args, LS_HELP_COLUMNS)) {
		ls_columns_print();
		return 0;
	}
	qubes = qubes_or_fail(&program);
	ls.qubes = &qubes;
	if (args->given[LS_VMNAME].n) {
		struct qube_list list = qubes_named(args, &qubes, LS_VMNAME, -1, -1);

		ls.named = true;
		ls.shown = list.items;
		ls.n = list.n;
		if (ls.n)
			qsort(ls.shown, ls.n, sizeof(*ls.shown), compare_shown);
	} else {
		ls.shown = arena_alloc((qubes.n + 1) * sizeof(*ls.shown));
		for (; ls.n < qubes.n; ls.n++)
			ls.shown[ls.n] = &qubes.items[ls.n];
	}
	ls_filter(&ls, args);
	if (args_has(args, LS_RAW_LIST)) {
		for (size_t i = 0; i < ls.n; i++)
			out_printf("%s\n", ls.shown[i]->name);
		return 0;
	}
	print_all(&ls, args);
	return 0;
}
