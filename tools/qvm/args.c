/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reading of a command line: argparse's rules, which differ from getopt's. Every word is first sorted
 * into option or argument (pattern); then positionals take as many of the next arguments as their kinds
 * allow, each as soon as there are any, and options take theirs.
 */
#include "tools/qvm/args.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/out.h"

struct parse {
	struct args *args;
	const struct arg *table;
	const char *const *argv;
	int argc;
	char *pattern;       /* for each word: 'A' argument, 'O' option, '-' for "--" */
	int next_positional; /* row; the first that has taken nothing yet */
	bool seen[ARGS_MAX];
};

/* What a word that looks like an option is. */
struct option_word {
	int row;           /* -1: no row has it */
	const char *name;  /* as the table has it */
	const char *value; /* behind '=' or behind a short option; NULL: none */
};

static const char *front;

void args_set_front(const char *text)
{
	front = text;
}

const char *args_name(const struct args_program *program)
{
	if (front && strncmp(program->name, "qvm-", 4) == 0)
		return arena_printf("%s %s", front, program->name + 4);
	return program->name;
}

const char *args_front(const struct args_program *program)
{
	return front ? arena_printf("%s: ", args_name(program)) : "";
}

const char *args_row_name(const struct arg *arg)
{
	struct text_list names = {0};

	if (!arg_is_option(arg))
		return arg->metavar;
	for (int i = 0; i < ARG_NAMES_MAX && arg->names[i]; i++)
		text_list_add(&names, arg->names[i]);
	return text_list_join(&names, "/");
}

void args_error(const struct args_program *program, const char *fmt, ...)
{
	va_list ap;
	char text[4096];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	out_flush();
	err_printf("%s%s: error: %s\n", args_usage(program), args_name(program), text);
	exit(2);
}

/* The row that has exactly this name. */
static int row_exact(const struct parse *parse, const char *word, size_t len)
{
	for (int row = 0; parse->table[row].kind != ARG_END; row++)
		for (int i = 0; i < ARG_NAMES_MAX && parse->table[row].names[i]; i++)
			if (strlen(parse->table[row].names[i]) == len &&
			    memcmp(parse->table[row].names[i], word, len) == 0)
				return row;
	return -1;
}

static bool is_negative_number(const char *word)
{
	char *end;

	if (*word != '-' || (!isdigit((unsigned char)word[1]) && word[1] != '.'))
		return false;
	(void)strtod(word, &end);
	return *end == '\0';
}

/* Names that begin so. One: it is meant. More: an error. */
static bool option_abbreviated(const struct parse *parse, const char *word, struct option_word *ret)
{
	const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	struct text_list matches = {0};

	for (int row = 0; parse->table[row].kind != ARG_END; row++) {
		for (int i = 0; i < ARG_NAMES_MAX && parse->table[row].names[i]; i++) {
			const char *name = parse->table[row].names[i];
			bool is_short = word[1] != '-' && strlen(name) == 2 && name[1] == word[1];

			if (!is_short && strncmp(name, word, len) != 0)
				continue;
			if (matches.n == 0)
				*ret = (struct option_word){row, name,
				                            is_short ? word + 2
				                            : equals ? equals + 1
				                                     : NULL};
			text_list_add(&matches, name);
		}
	}
	if (matches.n > 1)
		args_error(parse->args->program, "ambiguous option: %s could match %s", word,
		           text_list_join(&matches, ", "));
	return matches.n == 1;
}

/* Whether a word is an option, and which. */
static bool option_find(const struct parse *parse, const char *word, struct option_word *ret)
{
	const char *equals = strchr(word, '=');
	int row;

	if (word[0] != '-' || word[1] == '\0')
		return false;
	row = row_exact(parse, word, strlen(word));
	if (row >= 0) {
		*ret = (struct option_word){row, word, NULL};
		return true;
	}
	if (equals && (row = row_exact(parse, word, (size_t)(equals - word))) >= 0) {
		*ret = (struct option_word){row, arena_copy(word, (size_t)(equals - word)),
		                            equals + 1};
		return true;
	}
	if (option_abbreviated(parse, word, ret))
		return true;
	if (is_negative_number(word) || strchr(word, ' '))
		return false;
	*ret = (struct option_word){-1, word, NULL};
	return true;
}

/* A value that is none of the row's choices is an error. */
static void choice_check(const struct parse *parse, const struct arg *arg, const char *value)
{
	struct text_list names = {0};

	if (!arg->choices)
		return;
	for (const char *const *choice = arg->choices; *choice; choice++) {
		if (strcmp(*choice, value) == 0)
			return;
		text_list_add(&names, arena_printf("'%s'", *choice));
	}
	args_error(parse->args->program, "argument %s: invalid choice: %s (choose from %s)",
	           args_row_name(arg), text_repr(value), text_list_join(&names, ", "));
}

static void given_push(struct parse *parse, int row, const char *value)
{
	struct arg_given *given = &parse->args->given[row];

	given->items = arena_grow(given->items, given->n * sizeof(*given->items),
	                          (given->n + 1) * sizeof(*given->items));
	given->items[given->n++] = value;
}

static void given_add(struct parse *parse, int row, const char *value)
{
	choice_check(parse, &parse->table[row], value);
	given_push(parse, row, value);
}

/* Least and most arguments of a row. */
static void kind_range(enum arg_kind kind, int *ret_min, int *ret_max)
{
	*ret_min = kind == ARG_VALUE || kind == ARG_MANY || kind == ARG_ONE || kind == ARG_COMMANDS;
	*ret_max = kind == ARG_FLAG ? 0 : kind == ARG_MANY || kind >= ARG_ANY ? INT_MAX : 1;
}

static const char *expected_text(enum arg_kind kind)
{
	return kind == ARG_MANY    ? "expected at least one argument"
	       : kind == ARG_MAYBE ? "expected at most one argument"
	                           : "expected one argument";
}

/* Rows that exclude each other. */
static void group_check(const struct parse *parse, int row)
{
	for (int other = 0; parse->table[other].kind != ARG_END; other++)
		if (other != row && parse->table[row].group && parse->seen[other] &&
		    parse->table[other].group == parse->table[row].group)
			args_error(parse->args->program,
			           "argument %s: not allowed with argument %s",
			           args_row_name(&parse->table[row]),
			           args_row_name(&parse->table[other]));
}

static void option_seen(struct parse *parse, int row)
{
	group_check(parse, row);
	parse->seen[row] = true;
	parse->args->given[row].times++;
	if (row == ARG_HELP) {
		out_text(args_help(parse->args->program));
		out_end(0);
	}
	if (row == ARG_VERSION) {
		out_printf("%s (Skerry %s)\n", args_name(parse->args->program), SKERRY_VERSION);
		out_end(0);
	}
}

/* Takes the option at @at and its arguments; returns the index behind them. */
static int option_take(struct parse *parse, int at)
{
	struct option_word word = {-1, parse->argv[at], NULL};
	int min, max, n = 0;

	(void)option_find(parse, parse->argv[at], &word);
	for (;;) {
		const struct arg *arg;

		if (word.row < 0) {
			text_list_add(&parse->args->unknown, parse->argv[at]);
			return at + 1;
		}
		arg = &parse->table[word.row];
		kind_range(arg->kind, &min, &max);
		if (!word.value)
			break;
		if (max == 0 && word.name[1] != '-' && *word.value) {
			/* -ab: a, then b with what is behind it */
			char name[3] = {'-', word.value[0], '\0'};
			int row = row_exact(parse, name, 2);

			option_seen(parse, word.row);
			if (row < 0)
				args_error(parse->args->program,
				           "argument %s: ignored explicit argument %s",
				           args_row_name(arg), text_repr(word.value));
			word = (struct option_word){row, arena_dup(name),
			                            word.value[1] ? word.value + 1 : NULL};
			continue;
		}
		if (max == 0)
			args_error(parse->args->program,
			           "argument %s: ignored explicit argument %s", args_row_name(arg),
			           text_repr(word.value));
		option_seen(parse, word.row);
		given_add(parse, word.row, word.value);
		return at + 1;
	}
	while (n < max && at + 1 + n < parse->argc && parse->pattern[at + 1 + n] == 'A')
		n++;
	if (n < min)
		args_error(parse->args->program, "argument %s: %s",
		           args_row_name(&parse->table[word.row]),
		           expected_text(parse->table[word.row].kind));
	option_seen(parse, word.row);
	for (int i = 0; i < n; i++)
		given_add(parse, word.row, parse->argv[at + 1 + i]);
	return at + 1 + n;
}

/* The next row that is a positional, from @row on; -1: none. */
static int positional_next(const struct parse *parse, int row)
{
	while (parse->table[row].kind != ARG_END && !arg_is_positional(&parse->table[row]))
		row++;
	return parse->table[row].kind == ARG_END ? -1 : row;
}

/* How many arguments stand from @at on; "--" counts for nothing, an option ends the run. */
static int run_length(const struct parse *parse, int at)
{
	int n = 0;

	for (; at < parse->argc && parse->pattern[at] != 'O'; at++)
		n += parse->pattern[at] == 'A';
	return n;
}

/* How many positionals from @row on can be served with @n arguments, and what the last needs. */
static int positionals_served(const struct parse *parse, int row, int n)
{
	int served = 0, min, max;

	for (row = positional_next(parse, row); row >= 0; row = positional_next(parse, row + 1)) {
		kind_range(parse->table[row].kind, &min, &max);
		if (min > n)
			break;
		n -= min;
		served++;
	}
	return served;
}

/* One positional takes @n words' worth of arguments from @at on; all words if it takes the rest. */
static int positional_fill(struct parse *parse, int row, int at, int n)
{
	bool rest = parse->table[row].kind == ARG_REST || parse->table[row].kind == ARG_COMMANDS;

	if (rest) {
		bool skipped = false;

		for (; at < parse->argc; at++) {
			if (!skipped && parse->pattern[at] == '-') {
				skipped = true; /* the first "--" only */
				continue;
			}
			/* choices are those of the first word */
			if (parse->args->given[row].n)
				given_push(parse, row, parse->argv[at]);
			else
				given_add(parse, row, parse->argv[at]);
		}
	} else {
		for (; n > 0; at++) {
			if (parse->pattern[at] == '-')
				continue;
			given_add(parse, row, parse->argv[at]);
			n--;
		}
	}
	parse->args->given[row].times = parse->args->given[row].n > 0;
	return at;
}

/* Serves as many positionals as the arguments at @at allow; returns the index behind them. */
static int positionals_take(struct parse *parse, int at)
{
	int n = run_length(parse, at);
	int served = positionals_served(parse, parse->next_positional, n);
	int row = parse->next_positional;

	for (int i = 0; i < served; i++) {
		int min, max, reserved = 0, later;

		row = positional_next(parse, row);
		later = row + 1;
		for (int j = i + 1; j < served; j++) {
			later = positional_next(parse, later);
			kind_range(parse->table[later++].kind, &min, &max);
			reserved += min;
		}
		kind_range(parse->table[row].kind, &min, &max);
		min = MIN(max, n - reserved);
		at = positional_fill(parse, row, at, min);
		n -= min;
		parse->seen[row] = true;
		row++;
	}
	parse->next_positional = row;
	while (at < parse->argc && parse->pattern[at] == '-')
		at++;
	return at;
}

static void required_check(const struct parse *parse)
{
	struct text_list missing = {0};

	for (int row = 0; parse->table[row].kind != ARG_END; row++) {
		enum arg_kind kind = parse->table[row].kind;

		if (!parse->seen[row] && (kind == ARG_ONE || kind == ARG_REST))
			text_list_add(&missing, parse->table[row].metavar);
	}
	if (missing.n)
		args_error(parse->args->program, "the following arguments are required: %s",
		           text_list_join(&missing, ", "));
}

/* Sorts the words. */
static void pattern_make(struct parse *parse)
{
	struct option_word word;
	bool only_arguments = false;

	parse->pattern = arena_alloc((size_t)parse->argc + 1);
	for (int i = 0; i < parse->argc; i++) {
		if (only_arguments) {
			parse->pattern[i] = 'A';
		} else if (strcmp(parse->argv[i], "--") == 0) {
			parse->pattern[i] = '-';
			only_arguments = true;
		} else {
			parse->pattern[i] = option_find(parse, parse->argv[i], &word) ? 'O' : 'A';
		}
	}
}

struct args *args_parse_known(const struct args_program *program, int argc, const char *const *argv)
{
	struct args *args = arena_alloc(sizeof(*args));
	struct parse parse = {.args = args, .table = program->table, .argv = argv, .argc = argc};
	int at = 0, last_option = -1;

	if (argc == 1 && strcmp(argv[0], "--describe-arguments") == 0) {
		out_text(args_describe(program));
		out_end(0);
	}
	args->program = program;
	pattern_make(&parse);
	for (int i = 0; i < argc; i++)
		if (parse.pattern[i] == 'O')
			last_option = i;
	while (at <= last_option) {
		if (parse.pattern[at] != 'O') {
			int behind = positionals_take(&parse, at);

			if (behind > at) {
				at = behind;
				continue;
			}
			while (at < argc && parse.pattern[at] != 'O')
				text_list_add(&args->unknown, argv[at++]);
			continue;
		}
		at = option_take(&parse, at);
	}
	if (at < argc || positional_next(&parse, parse.next_positional) >= 0)
		at = positionals_take(&parse, at);
	for (; at < argc; at++)
		text_list_add(&args->unknown, argv[at]);
	required_check(&parse);
	return args;
}

struct args *args_parse(const struct args_program *program, int argc, const char *const *argv)
{
	struct args *args = args_parse_known(program, argc, argv);

	if (args->unknown.n)
		args_error(program, "unrecognized arguments: %s",
		           text_list_join(&args->unknown, " "));
	return args;
}

const char *args_value(const struct args *args, int row)
{
	return args->given[row].n ? args->given[row].items[args->given[row].n - 1] : NULL;
}

bool args_has(const struct args *args, int row)
{
	return args->given[row].times > 0;
}
