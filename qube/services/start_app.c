/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.StartApp+ID and qubes-desktop-run FILE: start an application of this qube. The id may come from
 * another qube: it names one of this qube's own .desktop files, never a path.
 */
#include <qubesdb-client.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/services/desktop.h"
#include "qube/services/apps.h"

/* dom0's word in QubesDB, under a hash of the application's id: which one does not matter, for the id is the
 * value. The older form has the id in the key. */
static bool is_listed(const char *id)
{
	char prefix[] = "/hash-app-dispvm/";
	char key[512];
	unsigned int n = 0;
	unsigned int len;
	bool found = false;
	char **entries;
	char *value;
	qdb_handle_t db = qdb_open(NULL);

	if (!db)
		return false;
	entries = qdb_multiread(db, prefix, NULL, &n);
	for (unsigned int i = 0; entries && i < n; i++) {
		found |= strcmp(entries[2 * i + 1], id) == 0;
		free(entries[2 * i]);
		free(entries[2 * i + 1]);
	}
	free(entries);
	(void)snprintf(key, sizeof(key), "/qubes-service/app-dispvm.%s", id);
	value = found ? NULL : qdb_read(db, key, &len);
	found |= value != NULL;
	free(value);
	qdb_close(db);
	return found;
}

/* Files that an application opens go to a disposable, if the qube's owner said so for it. */
static void use_override(const char *id)
{
	char name[256];
	char path[PATH_MAX];

	(void)snprintf(name, sizeof(name), "app-dispvm.%s", id);
	if (is_listed(id) || (path_make(path, sizeof(path), "/run/qubes-service", name) == 0 &&
	                      access(path, F_OK) == 0))
		(void)setenv("XDG_DATA_DIRS", "/usr/share/qubes/xdg-override", 1);
}

/* A menu's line names a file of the data folders; a user may also give a path. */
static int desktop_run(char *file)
{
	static struct apps_folders folders;
	char path[PATH_MAX];
	char *suffix = strrchr(file, '.');

	if (strchr(file, '/'))
		return apps_launch(file) ? 1 : 0;
	if (suffix && strcmp(suffix, ".desktop") == 0)
		*suffix = '\0';
	apps_folders(&folders);
	if (!desktop_id_legal(file) || apps_find(&folders, file, path)) {
		printf("%s: no such application in this qube\n", file);
		return 1;
	}
	return apps_launch(path) ? 1 : 0;
}

static int start_app(const char *id)
{
	static struct apps_folders folders;
	char path[PATH_MAX];

	apps_folders(&folders);
	if (!desktop_id_legal(id) || apps_find(&folders, id, path)) {
		printf("%s: no such application in this qube\n", desktop_id_legal(id) ? id : "?");
		return 1;
	}
	use_override(id);
	return apps_launch(path) ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	log_init("start-app");
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	name = name ? name + 1 : argv[0];
	if (argc != 2) {
		(void)fprintf(stderr, strcmp(name, "qubes-desktop-run") == 0
		                              ? "usage: qubes-desktop-run FILE.desktop\n"
		                              : "usage: qubes.StartApp+APPLICATION\n");
		return 2;
	}
	if (strcmp(name, "qubes-desktop-run") == 0)
		return desktop_run(argv[1]);
	return start_app(argv[1]);
}
