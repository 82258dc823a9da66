/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template list, info and search. Texts of others are shown through lib/untrusted only. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/untrusted/text.h"
#include "tools/template/template.h"

enum { ALL = ARG_OWN, INSTALLED, AVAILABLE, EXTRAS, UPGRADES, ALL_VERSIONS, MACHINE, JSON, SPECS };

static const struct arg list_table[] = {
        ARGS_COMMON,
        [ALL] = {ARG_FLAG, {"--all"}, .help = "installed and available templates; the default"},
        [INSTALLED] = {ARG_FLAG, {"--installed"}, .help = "installed templates"},
        [AVAILABLE] = {ARG_FLAG, {"--available"}, .help = "templates that repositories have"},
        [EXTRAS] = {ARG_FLAG, {"--extras"}, .help = "installed templates that no repository has"},
        [UPGRADES] = {ARG_FLAG, {"--upgrades"}, .help = "newer versions of installed templates"},
        [ALL_VERSIONS] = {ARG_FLAG,
                          {"--all-versions"},
                          .help = "every version that is available, not only the newest"},
        [MACHINE] = {ARG_FLAG,
                     {"--machine-readable"},
                     .group = 1,
                     .help = "a line each, fields between '|'"},
        [JSON] = {ARG_FLAG, {"--machine-readable-json"}, .group = 1, .help = "JSON"},
        [SPECS] = {ARG_ANY, .metavar = "TEMPLATESPEC",
                   .help = "name, with a version if you want, and shell patterns"},
        {ARG_END},
};

enum status { IS_INSTALLED, IS_AVAILABLE, IS_EXTRA, IS_UPGRADE, STATUSES };

static const char *const status_names[STATUSES] = {"installed", "available", "extra", "upgradable"};
static const char *const headings[STATUSES] = {"Installed Templates", "Available Templates",
                                               "Extra Templates", "Available Upgrades"};

/* A line of a list. The texts for people can be shown. */
struct entry {
	enum status status;
	const char *name, *epoch, *version, *release, *evr, *reponame, *built, *installtime,
	        *license, *url, *summary, *description;
	uint64_t size;
};

struct entries {
	struct entry *items;
	size_t n, room;
};

/* A text of others as one that drives no terminal, with '|' between its lines. */
static const char *shown(const char *untrusted, size_t len)
{
	char *copy = arena_copy(untrusted, len);
	size_t room = 4 * len + 1;
	char *text = arena_alloc(room);

	while (len > 0 && copy[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len; i++)
		copy[i] = copy[i] == '\n' ? '|' : copy[i];
	(void)untrusted_text_escape(text, room, copy, len);
	return text;
}

/* A feature, which was escaped when it was set; whoever else set it, out_printf() lets nothing through. */
static const char *said(const char *feature)
{
	char *copy = arena_dup(feature);

	for (char *p = copy; *p; p++)
		*p = *p == '\n' ? '|' : *p;
	return copy;
}

/* "2026-1-31 7:05", or seconds: as "2026-01-31 07:05:00". */
static const char *time_text(const char *built)
{
	char text[32];
	struct tm tm = {0};
	time_t seconds;

	if (built[0] && built[strspn(built, "0123456789")] == '\0') {
		seconds = (time_t)strtoll(built, NULL, 10);
		if (!gmtime_r(&seconds, &tm))
			return built;
	} else if (!strptime(built, "%Y-%m-%d %H:%M", &tm)) {
		return built;
	}
	return strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) ? arena_dup(text) : built;
}

static void add(struct entries *list, const struct entry *entry)
{
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		list->items = arena_grow(list->items, list->n * sizeof(*entry),
		                         list->room * sizeof(*entry));
	}
	list->items[list->n++] = *entry;
}

static void add_record(struct entries *list, enum status status, const struct template_record *r)
{
	struct evr evr = record_evr(r);

	add(list,
	    &(struct entry){.status = status,
	                    .name = r->name,
	                    .epoch = r->epoch,
	                    .version = r->version,
	                    .release = r->release,
	                    .evr = evr_text(&evr),
	                    .reponame = r->repository,
	                    .size = r->size,
	                    .built = time_text(r->built),
	                    .installtime = "",
	                    .license = r->license,
	                    .url = shown(r->untrusted_url, r->url_len),
	                    .summary = shown(r->untrusted_summary, r->summary_len),
	                    .description = shown(r->untrusted_description, r->description_len)});
}

static void add_installed(struct entries *list, enum status status, const struct installed *i)
{
	add(list, &(struct entry){.status = status,
	                          .name = i->name,
	                          .epoch = i->evr.epoch,
	                          .version = i->evr.version,
	                          .release = i->evr.release,
	                          .evr = evr_text(&i->evr),
	                          .reponame = i->reponame,
	                          .built = i->buildtime,
	                          .installtime = i->installtime,
	                          .license = i->license,
	                          .url = said(i->url),
	                          .summary = said(i->summary),
	                          .description = said(i->description)});
}

static bool is_newest(const struct available *available, const struct template_record *r)
{
	struct evr evr = record_evr(r);

	for (size_t i = 0; i < available->n; i++) {
		struct evr other = record_evr(&available->items[i]);
		int c = evr_compare(&other, &evr);

		/* The same in two repositories: the first. */
		if (strcmp(available->items[i].name, r->name) == 0 &&
		    (c > 0 || (c == 0 && &available->items[i] < r)))
			return false;
	}
	return true;
}

static bool matches_any(const struct args *args, const char *name, const struct evr *evr)
{
	const struct arg_given *specs = &args->given[SPECS];

	for (size_t i = 0; i < specs->n; i++) {
		if (spec_matches(specs->items[i], name, evr))
			return true;
	}
	return specs->n == 0;
}

static void collect_installed(const struct args *args, const struct installed_list *installed,
                              const struct available *available, struct entries *list)
{
	bool all = args_has(args, ALL) || args_has(args, INSTALLED);

	for (size_t i = 0; i < installed->n; i++) {
		const struct installed *t = &installed->items[i];
		bool known = false;

		if (!matches_any(args, t->name, &t->evr))
			continue;
		for (size_t j = 0; j < available->n && !known; j++)
			known = strcmp(available->items[j].name, t->from) == 0;
		if (all)
			add_installed(list, IS_INSTALLED, t);
		if (args_has(args, EXTRAS) && !known)
			add_installed(list, IS_EXTRA, t);
		if (t->unfinished)
			err_printf("%s: changing it was interrupted; 'qvm-template reinstall' or "
			           "'upgrade' does it again\n",
			           t->name);
	}
}

static void collect_available(const struct args *args, const struct installed_list *installed,
                              const struct available *available, struct entries *list)
{
	for (size_t i = 0; i < available->n; i++) {
		const struct template_record *r = &available->items[i];
		const struct installed *t = installed_find(installed, r->name);
		struct evr evr = record_evr(r);

		if (!args_has(args, ALL_VERSIONS) && !is_newest(available, r))
			continue;
		if ((args_has(args, ALL) && !(t && evr_compare(&t->evr, &evr) == 0)) ||
		    args_has(args, AVAILABLE))
			add_record(list, IS_AVAILABLE, r);
		if (args_has(args, UPGRADES) && t && evr_compare(&evr, &t->evr) > 0)
			add_record(list, IS_UPGRADE, r);
	}
}

/* A field of a line between bars: they are not inside it but in the description. */
static const char *field(const char *text)
{
	char *copy = arena_dup(text);

	for (char *p = copy; *p; p++)
		*p = *p == '|' ? ' ' : *p;
	return copy;
}

static void print_lines(const struct entries *list, bool info)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct entry *e = &list->items[i];
		const char *size = e->size ? arena_printf("%llu", (unsigned long long)e->size) : "";

		if (info)
			out_printf("%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s\n",
			           status_names[e->status], e->name, e->epoch, e->version,
			           e->release, e->reponame, size, e->built, e->installtime,
			           field(e->license), field(e->url), field(e->summary),
			           e->description);
		else
			out_printf("%s|%s|%s|%s\n", status_names[e->status], e->name, e->evr,
			           e->reponame);
	}
}

static void print_json_entry(const struct entry *e, bool info)
{
	if (!info) {
		out_printf("{\"name\": %s, \"evr\": %s, \"reponame\": %s}", json_text(e->name),
		           json_text(e->evr), json_text(e->reponame));
		return;
	}
	out_printf("{\"name\": %s, \"epoch\": %s, \"version\": %s, \"release\": %s, \"reponame\": "
	           "%s, ",
	           json_text(e->name), json_text(e->epoch), json_text(e->version),
	           json_text(e->release), json_text(e->reponame));
	out_printf("\"size\": %llu, \"buildtime\": %s, \"installtime\": %s, \"license\": %s, ",
	           (unsigned long long)e->size, json_text(e->built), json_text(e->installtime),
	           json_text(e->license));
	out_printf("\"url\": %s, \"summary\": %s, \"description\": %s}", json_text(e->url),
	           json_text(e->summary), json_text(e->description));
}

static void print_json(const struct entries *list, bool info)
{
	bool first_status = true;

	out_text("{");
	for (size_t status = 0; status < STATUSES; status++) {
		bool first = true;

		for (size_t i = 0; i < list->n; i++) {
			if (list->items[i].status != status)
				continue;
			if (first)
				out_printf("%s\"%s\": [", first_status ? "" : ", ",
				           status_names[status]);
			else
				out_text(", ");
			print_json_entry(&list->items[i], info);
			first = first_status = false;
		}
		if (!first)
			out_text("]");
	}
	out_text("}\n");
}

static void print_info(const struct entry *e)
{
	out_printf("Name        : %s\nEpoch       : %s\nVersion     : %s\nRelease     : %s\n",
	           e->name, *e->epoch ? e->epoch : "0", e->version, e->release);
	if (e->size)
		out_printf("Size        : %.1f MiB\n", (double)e->size / 1048576);
	out_printf("Repository  : %s\nBuildtime   : %s\n", e->reponame, e->built);
	if (*e->installtime)
		out_printf("Install time: %s\n", e->installtime);
	out_printf("URL         : %s\nLicense     : %s\nSummary     : %s\n", e->url, e->license,
	           e->summary);
	/* Its lines were put behind each other. */
	out_text("Description : ");
	for (const char *p = e->description; *p; p++) {
		if (*p == '|')
			out_text("\n            : ");
		else
			out_printf("%c", *p);
	}
	out_text("\n\n");
}

static void print_text(const struct entries *list, bool info)
{
	for (size_t status = 0; status < STATUSES; status++) {
		struct table table = table_new(3, NULL);
		size_t n = 0;

		for (size_t i = 0; i < list->n; i++) {
			const struct entry *e = &list->items[i];
			const char **cells;

			if (e->status != status)
				continue;
			if (n++ == 0)
				out_printf("%s\n", headings[status]);
			if (info) {
				print_info(e);
				continue;
			}
			cells = table_row(&table);
			cells[0] = e->name;
			cells[1] = e->evr;
			cells[2] = e->reponame;
		}
		if (n && !info)
			table_print(&table);
	}
}

static int ask_all(const struct template_options *options, const struct arg_given *specs,
                   struct available *ret)
{
	struct available part;

	if (specs->n == 0)
		return available_ask(options, "*", ret);
	*ret = (struct available){0};
	for (size_t i = 0; i < specs->n; i++) {
		if (!spec_legal(specs->items[i])) {
			err_printf("qvm-template: %s: not the name of a template\n",
			           specs->items[i]);
			return -1;
		}
		if (available_ask(options, specs->items[i], &part))
			return -1;
		ret->items = arena_grow(ret->items, ret->n * sizeof(*part.items),
		                        (ret->n + part.n) * sizeof(*part.items));
		memcpy(ret->items + ret->n, part.items, part.n * sizeof(*part.items));
		ret->n += part.n;
	}
	return 0;
}

int template_list(const struct template_options *options, const char *command, int argc,
                  const char *const *argv)
{
	bool info = strcmp(command, "info") == 0;
	const struct args_program program = {arena_printf("qvm-template %s", command),
	                                     info ? "Show templates in full." : "List templates.",
	                                     NULL, list_table};
	struct args *args = args_parse(&program, argc, argv);
	struct available available = {0};
	struct entries list = {0};
	struct installed_list installed;
	struct qubes qubes;

	if (!args_has(args, INSTALLED) && !args_has(args, AVAILABLE) && !args_has(args, EXTRAS) &&
	    !args_has(args, UPGRADES))
		args->given[ALL].times = 1;
	qubes = qubes_or_fail(&program);
	installed = installed_load(&qubes);
	if ((args_has(args, ALL) || args_has(args, AVAILABLE) || args_has(args, EXTRAS) ||
	     args_has(args, UPGRADES)) &&
	    ask_all(options, &args->given[SPECS], &available))
		return 1;
	collect_installed(args, &installed, &available, &list);
	collect_available(args, &installed, &available, &list);
	if (args_has(args, JSON))
		print_json(&list, info);
	else if (args_has(args, MACHINE))
		print_lines(&list, info);
	else
		print_text(&list, info);
	if (list.n == 0 && !args_has(args, MACHINE) && !args_has(args, JSON))
		fail(&program, "No matching templates to %s", command);
	return 0;
}

enum { SEARCH_ALL = ARG_OWN, PATTERNS };

static const struct arg search_table[] = {
        ARGS_COMMON,
        [SEARCH_ALL] = {ARG_FLAG,
                        {"--all"},
                        .help = "search description and URL too, and for any of the patterns"},
        [PATTERNS] = {ARG_ANY, .metavar = "PATTERN", .help = "a text, with shell patterns"},
        {ARG_END},
};

static bool has_pattern(const struct entry *e, const char *pattern, bool all)
{
	const char *around = arena_printf("*%s*", pattern);
	const char *const texts[] = {e->name, e->summary, e->description, e->url};

	for (size_t i = 0; i < (all ? 4 : 2); i++) {
		if (fnmatch(around, texts[i], FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

static bool is_found(const struct args *args, const struct entry *e)
{
	const struct arg_given *patterns = &args->given[PATTERNS];
	bool all = args_has(args, SEARCH_ALL);
	size_t n = 0;

	for (size_t i = 0; i < patterns->n; i++)
		n += has_pattern(e, patterns->items[i], all);
	return all ? n > 0 : n == patterns->n;
}

int template_search(const struct template_options *options, int argc, const char *const *argv)
{
	static const struct args_program program = {"qvm-template search",
	                                            "Search templates that repositories have.",
	                                            NULL, search_table};
	struct args *args = args_parse(&program, argc, argv);
	struct table table = table_new(2, NULL);
	struct available available;
	struct entries list = {0};

	if (available_ask(options, "*", &available))
		return 1;
	for (size_t i = 0; i < available.n; i++) {
		if (is_newest(&available, &available.items[i]))
			add_record(&list, IS_AVAILABLE, &available.items[i]);
	}
	for (size_t i = 0; i < list.n; i++) {
		const char **cells;

		if (!is_found(args, &list.items[i]))
			continue;
		cells = table_row(&table);
		cells[0] = list.items[i].name;
		cells[1] = list.items[i].summary;
	}
	if (table.rows == 0)
		fail(&program, "No matches found.");
	table_print(&table);
	return 0;
}
