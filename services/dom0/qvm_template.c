/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template: templates that repositories have; manual: qvm-template(1). */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/dom0/template.h"

static const char help[] =
        "usage: qvm-template [OPTION...] list [TEMPLATE]\n"
        "       qvm-template [OPTION...] info TEMPLATE\n"
        "       qvm-template [OPTION...] search WORD...\n"
        "       qvm-template [OPTION...] download [--downloaddir=FOLDER] TEMPLATE\n"
        "  --enablerepo=ID  --disablerepo=ID  --repoid=ID  --releasever=VERSION  --refresh\n"
        "                        which repositories of /etc/qubes/repo-templates are asked\n"
        "  --downloaddir=FOLDER  where a package is put (.)\n"
        "  --json                lists as JSON\n"
        "TEMPLATE is a name, with a version if you want, and may have * and ?.\n";

static bool is_passed_on(const char *word)
{
	static const char *const options[] = {"--enablerepo=", "--disablerepo=", "--repoid=",
	                                      "--releasever="};

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		size_t len = strlen(options[i]);

		if (strncmp(word, options[i], len) == 0)
			return repos_id_legal(word + len) || template_spec_legal(word + len);
	}
	return strcmp(word, "--refresh") == 0;
}

/* Options may stand anywhere; the other words move to the front. */
static int parse(int argc, char **argv, struct template_options *options)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (strcmp(word, "--json") == 0) {
			options->json = true;
		} else if (strncmp(word, "--downloaddir=", 14) == 0) {
			options->folder = word + 14;
		} else if (is_passed_on(word) && options->n_words < ARRAY_LEN(options->words)) {
			options->words[options->n_words++] = word;
		} else if (word[0] == '-') {
			LOG("%s: no such option", word);
			return -1;
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[n] = NULL;
	return n;
}

static int run(int n, char **words, const struct template_options *options,
               const struct repos *repos)
{
	const char *command = n > 0 ? words[0] : "";
	bool search = strcmp(command, "search") == 0;

	if (!search && n == 2 && !template_spec_legal(words[1])) {
		LOG("%s: not the name of a template", words[1]);
		return 1;
	}
	if ((strcmp(command, "list") == 0 && n <= 2) || (strcmp(command, "info") == 0 && n == 2) ||
	    (search && n >= 2))
		return template_list(options, repos, command, words + 1);
	if (strcmp(command, "download") == 0 && n == 2)
		return template_download(options, repos, words[1]);
	(void)fputs(help, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct repos repos;
	struct template_options options = {.folder = "."};
	char folder[PATH_MAX];
	int n;

	log_init("qvm-template");
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (fd_open_stdio() || paths_find_root() ||
	    path_make(folder, sizeof(folder), TEMPLATE_REPOS, NULL))
		return 1;
	n = parse(argc, argv, &options);
	if (n < 0)
		return 2;
	if (repos_load(&repos, folder))
		return 1;
	if (repos.n == 0) {
		LOG("%s: no repositories", folder);
		return 1;
	}
	return run(n, argv, &options, &repos);
}
