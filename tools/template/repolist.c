/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template repolist, migrate-from-rpmdb. */
#include <fnmatch.h>
#include <string.h>

#include "tools/qvm/child.h"
#include "tools/template/template.h"

enum { ALL = ARG_OWN, ENABLED, DISABLED, REPOS };

static const struct arg repolist_table[] = {
        ARGS_COMMON,
        [ALL] = {ARG_FLAG, {"--all"}, .group = 1, .help = "all repositories"},
        [ENABLED] = {ARG_FLAG,
                     {"--enabled"},
                     .group = 1,
                     .help = "those that are asked; the default"},
        [DISABLED] = {ARG_FLAG, {"--disabled"}, .group = 1, .help = "those that are not"},
        [REPOS] = {ARG_ANY, .metavar = "REPOS", .help = "names, with shell patterns"},
        {ARG_END},
};

/* By what the files say, and then the options in their order. */
static bool is_enabled(const struct template_options *options, const struct repo *repo)
{
	bool enabled = repo->enabled, only = false;

	for (size_t i = 0; i < options->words.n; i++) {
		const char *word = options->words.items[i], *value = strchr(word, '=');
		bool match = value && fnmatch(value + 1, repo->id, 0) == 0;

		if (strncmp(word, "--repoid=", 9) == 0) {
			enabled = match || (only && enabled);
			only = true;
		} else if (match && strncmp(word, "--enablerepo=", 13) == 0) {
			enabled = true;
		} else if (match && strncmp(word, "--disablerepo=", 14) == 0) {
			enabled = false;
		}
	}
	return enabled;
}

static bool is_shown(const struct args *args, const struct repo *repo, bool enabled)
{
	const struct arg_given *names = &args->given[REPOS];

	if (!args_has(args, ALL) && enabled == args_has(args, DISABLED))
		return false;
	for (size_t i = 0; i < names->n; i++) {
		if (fnmatch(names->items[i], repo->id, 0) == 0)
			return true;
	}
	return names->n == 0;
}

int template_repolist(const struct template_options *options, int argc, const char *const *argv)
{
	static const struct args_program program = {"qvm-template repolist",
	                                            "List repositories of templates.", NULL,
	                                            repolist_table};
	const struct args *args = args_parse(&program, argc, argv);
	bool all = args_has(args, ALL);
	struct table table = table_new(all ? 3 : 2, NULL);
	const char **cells = table_row(&table);

	cells[0] = "repo id";
	cells[1] = "repo name";
	if (all)
		cells[2] = "status";
	for (size_t i = 0; i < options->repos->n; i++) {
		const struct repo *repo = &options->repos->list[i];
		bool enabled = is_enabled(options, repo);

		if (!is_shown(args, repo, enabled))
			continue;
		cells = table_row(&table);
		cells[0] = repo->id;
		cells[1] = repo->name;
		if (all)
			cells[2] = enabled ? "enabled" : "disabled";
	}
	if (table.rows > 1)
		table_print(&table);
	return 0;
}

static const struct arg plain_table[] = {ARGS_COMMON, {ARG_END}};

/* What the package manager knew about a template; NULL after a message. */
static struct text_list package_words(const char *name)
{
	const char *line = child_read((const char *const[]){
	        "rpm", "-q", "--qf",
	        "%{name} %{epochnum} %{version} %{release} %{license} %{url} %{buildtime}\\n", "--",
	        arena_printf(TEMPLATE_PREFIX "%s", name), NULL});
	struct text_list words = {0};

	while (line && *line) {
		size_t n = strcspn(line, " ");

		text_list_add(&words, arena_copy(line, n));
		line += n + (line[n] == ' ');
	}
	return words;
}

static bool set(const char *qube, const char *feature, const char *value)
{
	struct admin_reply reply = admin_call("admin.vm.feature.Set", feature, qube, value);

	if (reply.error)
		err_printf("%s: %s\n", qube, admin_error_shown(&reply));
	return !reply.error;
}

static bool migrate(const char *qube)
{
	struct text_list words = package_words(qube);
	struct admin_reply reply;

	if (words.n < 4) {
		err_printf("%s: no package of this name is installed here\n", qube);
		return false;
	}
	for (size_t i = 1; i < 4; i++) {
		if (!spec_legal(words.items[i])) {
			err_printf("%s: its package has a version of other letters\n", qube);
			return false;
		}
	}
	if (!set(qube, "template-epoch", words.items[1]) ||
	    !set(qube, "template-version", words.items[2]) ||
	    !set(qube, "template-release", words.items[3]) ||
	    !set(qube, "template-reponame", "@rpmdb") || !set(qube, "template-name", qube))
		return false;
	/* The last step: until then it can be done again. */
	reply = admin_call("admin.vm.property.Set", "installed_by_rpm", qube, "False");
	if (reply.error)
		err_printf("%s: %s\n", qube, admin_error_shown(&reply));
	return !reply.error;
}

int template_migrate(const struct template_options *options, int argc, const char *const *argv)
{
	static const struct args_program program = {
	        "qvm-template migrate-from-rpmdb",
	        "Take over templates that were installed by a package manager.", NULL, plain_table};
	struct qubes qubes;
	int status = 0;

	(void)args_parse(&program, argc, argv);
	cache_lock(options);
	qubes = qubes_or_fail(&program);
	for (size_t i = 0; i < qubes.n; i++) {
		struct qube *qube = &qubes.items[i];
		const char *by_rpm;

		if (strcmp(qube->class, "TemplateVM") != 0)
			continue;
		by_rpm = qube_property(qube, "installed_by_rpm");
		if (by_rpm && strcmp(by_rpm, "True") == 0 && !migrate(qube->name))
			status = 1;
	}
	return status;
}
