/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.repos.List, qubes.repos.Enable+ID and qubes.repos.Disable+ID: the repositories of dom0's updates, for
 * a program that manages them. Nobody may call them unless the policy is told so.
 * Source: doc/protocol/services.md, repos.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/dom0/repos.h"

#define FOLDER "/etc/yum.repos.d"

/* ID NUL NAME NUL enabled|disabled, newlines between. */
static int list(const struct repos *repos)
{
	for (size_t i = 0; i < repos->n; i++) {
		const struct repo *repo = &repos->list[i];

		(void)printf("%s%s%c%s%c%s", i > 0 ? "\n" : "", repo->id, 0, repo->name, 0,
		             repo->enabled ? "enabled" : "disabled");
	}
	return fflush(stdout) ? 1 : 0;
}

/* "ok", or a text on standard error: nothing else is read by who calls. */
static int enable(const struct repos *repos, const char *id, bool enabled)
{
	const struct repo *repo = repos_id_legal(id) ? repos_find(repos, id) : NULL;

	if (!repo) {
		(void)fprintf(stderr, "there is no such repository\n");
		return 1;
	}
	if (repo->enabled != enabled && repos_enable(repo, enabled)) {
		(void)fprintf(stderr, "%s cannot be changed: %s\n", repo->file, strerror(errno));
		return 1;
	}
	(void)fputs("ok", stdout);
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct repos repos;
	const char *name = strrchr(argv[0], '/');
	const char *argument = argc > 1 ? argv[1] : "";
	char folder[PATH_MAX];

	name = name ? name + 1 : argv[0];
	log_init(name);
	if (path_make(folder, sizeof(folder), FOLDER, NULL) || repos_load(&repos, folder)) {
		(void)fputs("the repositories cannot be read\n", stderr);
		return 1;
	}
	if (strcmp(name, "qubes.repos.List") == 0 && !*argument)
		return list(&repos);
	if (strcmp(name, "qubes.repos.Enable") == 0)
		return enable(&repos, argument, true);
	if (strcmp(name, "qubes.repos.Disable") == 0)
		return enable(&repos, argument, false);
	(void)fputs("qubes.repos.List without an argument, or .Enable+ID, .Disable+ID\n", stderr);
	return 2;
}
