/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_REPOS_H
#define SERVICES_DOM0_REPOS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Repositories of packages, as files *.repo describe them: sections [ID] of lines KEY=VALUE. dom0 downloads
 * from none itself: they are for the update qube. The files are ours and trusted, and bounded all the same.
 */

#define REPOS_MAX      64         /* in one folder; chosen */
#define REPOS_FILE_MAX (1U << 20) /* bytes; chosen */
#define REPOS_TEXT_MAX 256

struct repo {
	char id[REPOS_TEXT_MAX];
	char name[REPOS_TEXT_MAX];
	char key[PATH_MAX]; /* gpgkey of file:///…, without that; "" if there is none */
	bool enabled;
	char file[PATH_MAX];
};

struct repos {
	struct repo list[REPOS_MAX];
	size_t n;
};

/** repos_load() - those of a folder; none if it is not there. 0, or -1 after a log line */
int repos_load(struct repos *repos, const char *folder) MUST_CHECK;

/** repos_load_file() - adds those of a file; 0, or -1 after a log line */
int repos_load_file(struct repos *repos, const char *path) MUST_CHECK;

/** repos_find() - by id; NULL if there is none */
const struct repo *repos_find(const struct repos *repos, const char *id);

/** repos_enable() - in its file, which is replaced as a whole; 0, or -1 with errno */
int repos_enable(const struct repo *repo, bool enabled) MUST_CHECK;

/** repos_id_legal() - letters, digits and "._+-:", 1 to 255 of them */
bool repos_id_legal(const char *id);

#endif
