/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry ls: the qubes and what matters about each, all properties asked for at once. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "tools/skerry_admin.h"

enum { NAME, STATE, LABEL, CLASS, TEMPLATE, NETVM, IP, COLUMNS };

static const char *const headings[COLUMNS] = {"NAME",     "STATE", "LABEL", "CLASS",
                                              "TEMPLATE", "NETVM", "IP"};
static const char *const keys[COLUMNS] = {"name",     "state", "label", "class",
                                          "template", "netvm", "ip"};

static const char *cell(struct qube *qube, int column)
{
	switch (column) {
	case NAME:
		return qube->name;
	case STATE:
		return qube->state;
	case CLASS:
		return qube->class;
	default:
		return qube_property(qube, keys[column]);
	}
}

static void print_json(struct qube *const *shown, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			const char *text = cell(shown[i], c);

			out_printf("%s\"%s\": %s", c ? ", " : "{", keys[c],
			           text ? json_text(text) : "null");
		}
		out_printf(", \"uuid\": %s}\n", json_text(shown[i]->uuid));
	}
}

static const char *cell_style(const struct skerry_options *options, const struct qube *qube,
                              int column, const char *text)
{
	if (column == LABEL)
		return label_style(options, text);
	if (column == STATE && strcmp(qube->state, "Running") == 0)
		return skerry_style(options, STYLE_GOOD);
	if (column == STATE && strcmp(qube->state, "Halted") != 0)
		return skerry_style(options, STYLE_WARN);
	return column == STATE ? skerry_style(options, STYLE_FAINT) : "";
}

static void print_cell(const char *text, const char *before, const char *after, size_t pad)
{
	out_escape(before);
	out_text(text);
	out_escape(*before ? after : "");
	out_printf("%*s", (int)pad, "");
}

static void print_table(struct qube *const *shown, size_t n, const struct skerry_options *options)
{
	const char *plain = skerry_style(options, STYLE_PLAIN),
	           *bold = skerry_style(options, STYLE_BOLD);
	size_t widths[COLUMNS];

	for (int c = 0; c < COLUMNS; c++) {
		widths[c] = strlen(headings[c]);
		for (size_t i = 0; i < n; i++) {
			const char *text = cell(shown[i], c);

			widths[c] = MAX(widths[c], out_width(text ? text : "-"));
		}
	}
	for (int c = 0; c < COLUMNS; c++)
		print_cell(headings[c], bold, plain,
		           c + 1 < COLUMNS ? widths[c] + 2 - strlen(headings[c]) : 0);
	out_text("\n");
	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			const char *text = cell(shown[i], c) ? cell(shown[i], c) : "-";

			print_cell(text, cell_style(options, shown[i], c, text), plain,
			           c + 1 < COLUMNS ? widths[c] + 2 - out_width(text) : 0);
		}
		out_text("\n");
	}
}

/* Whether one of the words, which may be patterns, is the qube's name. */
static bool is_wanted(const struct qube *qube, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (fnmatch(argv[i], qube->name, 0) == 0)
			return true;
	return argc == 1;
}

int skerry_ls(int argc, char **argv, const struct skerry_options *options)
{
	bool running = false;
	const struct word_option table[] = {{"--running", NULL, &running}, {0}};
	struct qube **shown;
	struct qubes qubes;
	size_t n = 0;

	argc = words_take(argc, argv, table);
	if (argc < 0)
		return skerry_usage("ls");
	if (!qubes_get("ls", &qubes))
		return SKERRY_REFUSED;
	for (int i = 1; i < argc; i++)
		if (!strpbrk(argv[i], "*?[") && !qube_get("ls", &qubes, argv[i]))
			return SKERRY_REFUSED;
	shown = arena_alloc((qubes.n + 1) * sizeof(struct qube *));
	for (size_t i = 0; i < qubes.n; i++)
		if (is_wanted(&qubes.items[i], argc, argv) &&
		    (!running || strcmp(qubes.items[i].state, "Halted") != 0))
			shown[n++] = &qubes.items[i];
	qube_properties_load(shown, n, "label\ntemplate\nnetvm\nip");
	if (options->json)
		print_json(shown, n);
	else
		print_table(shown, n, options);
	return SKERRY_DONE;
}
