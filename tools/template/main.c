/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template: templates that repositories have, installed and removed; manual: qvm-template(1). */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "tools/template/template.h"

enum {
	REPO_FILES = ARG_OWN,
	KEYRING,
	UPDATEVM,
	ENABLEREPO,
	DISABLEREPO,
	REPOID,
	RELEASEVER,
	REFRESH,
	CACHEDIR,
	KEEP_CACHE,
	YES,
	COMMAND
};

static const char *const commands[] = {"install",
                                       "reinstall",
                                       "downgrade",
                                       "upgrade",
                                       "download",
                                       "list",
                                       "info",
                                       "search",
                                       "remove",
                                       "purge",
                                       "clean",
                                       "repolist",
                                       "migrate-from-rpmdb",
                                       NULL};

static const struct arg table[] = {
        ARGS_COMMON,
        [REPO_FILES] = {ARG_VALUE,
                        {"--repo-files"},
                        .metavar = "REPO_FILES",
                        .help = "file of repositories; more than one may be given. Default: "
                                "/etc/qubes/repo-templates/*.repo"},
        [KEYRING] = {ARG_VALUE,
                     {"--keyring"},
                     .metavar = "KEYRING",
                     .help = "folder of public keys. Default: /etc/qubes/repo-templates/keys"},
        [UPDATEVM] =
                {ARG_VALUE,
                 {"--updatevm"},
                 .metavar = "UPDATEVM",
                 .help = "qube to download by; empty: this one. Default: the property updatevm"},
        [ENABLEREPO] = {ARG_VALUE,
                        {"--enablerepo"},
                        .metavar = "REPOID",
                        .help = "ask this repository too"},
        [DISABLEREPO] = {ARG_VALUE,
                         {"--disablerepo"},
                         .metavar = "REPOID",
                         .help = "do not ask this repository"},
        [REPOID] = {ARG_VALUE,
                    {"--repoid"},
                    .metavar = "REPOID",
                    .help = "ask only this repository"},
        [RELEASEVER] = {ARG_VALUE,
                        {"--releasever"},
                        .metavar = "RELEASEVER",
                        .help = "another release of the system"},
        [REFRESH] = {ARG_FLAG, {"--refresh"}, .help = "lists of repositories are fetched anew"},
        [CACHEDIR] = {ARG_VALUE,
                      {"--cachedir"},
                      .metavar = "CACHEDIR",
                      .help = "where packages lie. Default: ~/.cache/qvm-template"},
        [KEEP_CACHE] = {ARG_FLAG, {"--keep-cache"}, .help = "keep downloaded packages there"},
        [YES] = {ARG_FLAG, {"--yes"}, .help = "do not ask"},
        [COMMAND] =
                {ARG_COMMANDS, .metavar = "COMMAND", .choices = commands,
                 .help = "install, reinstall, downgrade, upgrade, download, list, info, search, "
                         "remove, purge, clean, repolist, migrate-from-rpmdb; each has --help"},
        {ARG_END},
};

const struct args_program template_program = {"qvm-template",
                                              "Install, list, change and remove templates.", NULL,
                                              table};

static bool glob_legal(const char *value)
{
	return repos_id_legal(value) || spec_legal(value);
}

/* As they go to the update qube. */
static void add_words(const struct args *args, struct template_options *options)
{
	static const int rows[] = {ENABLEREPO, DISABLEREPO, REPOID, RELEASEVER};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct arg_given *given = &args->given[rows[i]];

		for (size_t j = 0; j < given->n; j++) {
			if (!glob_legal(given->items[j]))
				args_error(&template_program, "argument %s: invalid value: %s",
				           args_row_name(&table[rows[i]]),
				           text_repr(given->items[j]));
			text_list_add(&options->words,
			              arena_printf("%s=%s", table[rows[i]].names[0],
			                           given->items[j]));
		}
	}
	if (args_has(args, REFRESH))
		text_list_add(&options->words, "--refresh");
}

static int make_folders(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

static const char *cache_folder(const struct args *args)
{
	const char *home = getenv("HOME"), *cache = getenv("XDG_CACHE_HOME");
	const char *path = args_value(args, CACHEDIR);
	char *copy;

	if (!path && cache && *cache == '/')
		path = arena_printf("%s/qvm-template", cache);
	if (!path)
		path = arena_printf("%s/.cache/qvm-template", home ? home : "/root");
	copy = arena_dup(path);
	if (make_folders(copy))
		fail(&template_program, "%s: %s", path, strerror(errno));
	return copy;
}

static void load_repos(const struct args *args, struct template_options *options)
{
	const struct arg_given *files = &args->given[REPO_FILES];
	char folder[PATH_MAX];
	int r = path_make(folder, sizeof(folder), TEMPLATE_REPOS, NULL);

	for (size_t i = 0; r == 0 && i < files->n; i++)
		r = repos_load_file(options->repos, files->items[i]);
	if (r == 0 && files->n == 0)
		r = repos_load(options->repos, folder);
	if (r)
		out_end(1);
}

static int run(const struct template_options *options, const char *command, int argc,
               const char *const *argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct template_options *options, int argc,
		           const char *const *argv);
	} plain[] = {
	        {"download", template_download},
	        {"search", template_search},
	        {"clean", template_clean},
	        {"repolist", template_repolist},
	        {"migrate-from-rpmdb", template_migrate},
	};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (strcmp(plain[i].name, command) == 0)
			return plain[i].run(options, argc, argv);
	}
	if (strcmp(command, "list") == 0 || strcmp(command, "info") == 0)
		return template_list(options, command, argc, argv);
	if (strcmp(command, "remove") == 0 || strcmp(command, "purge") == 0)
		return template_remove(options, command, argc, argv);
	return template_install(options, command, argc, argv);
}

int main(int argc, char **argv)
{
	static struct repos repos;
	struct template_options options = {.repos = &repos};
	const struct args *args;
	const char *command;

	log_init("qvm-template");
	(void)signal(SIGPIPE, SIG_IGN);
	if (fd_open_stdio() || paths_find_root())
		return 1;
	args = args_parse(&template_program, argc > 0 ? argc - 1 : 0,
	                  (const char *const *)argv + 1);
	command = args_value(args, COMMAND) ? args->given[COMMAND].items[0] : NULL;
	if (!command)
		args_error(&template_program, "the following arguments are required: COMMAND");
	options.updatevm = args_value(args, UPDATEVM);
	options.keyring = args_value(args, KEYRING);
	options.keep_cache = args_has(args, KEEP_CACHE);
	options.yes = args_has(args, YES);
	options.quiet = args_has(args, ARG_QUIET);
	options.verbose = args_has(args, ARG_VERBOSE);
	add_words(args, &options);
	load_repos(args, &options);
	options.cache = cache_folder(args);
	out_end(run(&options, command, (int)args->given[COMMAND].n - 1,
	            args->given[COMMAND].items + 1));
}
