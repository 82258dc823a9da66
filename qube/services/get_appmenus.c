/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.GetAppmenus: the applications of this qube, one line for each key of each .desktop file:
 * FILE.desktop:KEY=VALUE. Who receives it believes none of it. Of a file that several data folders
 * have, the first counts. Source: doc/protocol/services.md, GetAppmenus.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/services/desktop.h"
#include "qube/services/apps.h"

#define APPS_MAX  4096 /* files that are listed; chosen */
#define DEPTH_MAX 8
#define SUFFIX    ".desktop"

static struct {
	char *ids[APPS_MAX]; /* those already printed */
	size_t n;
	bool full;
	bool only_rw; /* list what lies on the private volume only */
	dev_t rw;
} menus;

static bool is_new(const char *id)
{
	for (size_t i = 0; i < menus.n; i++) {
		if (strcmp(menus.ids[i], id) == 0)
			return false;
	}
	if (menus.n == APPS_MAX) {
		if (!menus.full)
			LOG("more than %d applications: the rest is left out", APPS_MAX);
		menus.full = true;
		return false;
	}
	menus.ids[menus.n] = strdup(id);
	if (!menus.ids[menus.n])
		return false;
	menus.n++;
	return true;
}

static bool is_value(const struct desktop_line *line, const char *key, const char *value)
{
	size_t len = line->value_len;

	if (!desktop_is_key(line, key))
		return false;
	if (len > 0 && line->value[len - 1] == ';')
		len--;
	return len == strlen(value) && memcmp(line->value, value, len) == 0;
}

static bool is_hidden(const char *data, size_t len)
{
	struct desktop_reader reader = desktop_reader(data, len);
	struct desktop_line line;

	while (desktop_next(&reader, &line)) {
		if (is_value(&line, "NoDisplay", "true") || is_value(&line, "Hidden", "true") ||
		    is_value(&line, "Categories", "Screensaver"))
			return true;
	}
	return false;
}

static void print_file(const char *id, const char *data, size_t len)
{
	struct desktop_reader reader = desktop_reader(data, len);
	struct desktop_line line;

	if (is_hidden(data, len))
		return;
	while (desktop_next(&reader, &line)) {
		printf("%s:%.*s=", id, (int)line.key_len, line.key);
		if (desktop_is_key(&line, "Exec"))
			printf("qubes-desktop-run %s\n", id);
		else
			printf("%.*s\n", (int)line.value_len, line.value);
	}
}

static void list_file(const char *path, const char *id)
{
	struct stat st;
	char *data;
	size_t len;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || (menus.only_rw && st.st_dev != menus.rw))
		return;
	if (strpbrk(id, "\n\r:") || !is_new(id))
		return;
	if (apps_read(path, &data, &len)) {
		LOG_ERRNO("%s", path);
		return;
	}
	print_file(id, data, len);
	free(data);
}

static void list_folder(const char *folder, const char *prefix, int depth)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);

	/* One folder that is missing or closed does not take the others' applications away. */
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		size_t len = strlen(name);
		char path[PATH_MAX];
		char id[512];
		struct stat st;
		int a = snprintf(path, sizeof(path), "%s/%s", folder, name);
		int b = snprintf(id, sizeof(id), "%s%s", prefix, name);

		if (*name == '.' || a < 0 || (size_t)a >= sizeof(path) || b < 0 ||
		    (size_t)b >= sizeof(id) - 1 || stat(path, &st)) {
			free(entries[i]);
			continue;
		}
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			id[b] = '-';
			id[b + 1] = '\0';
			list_folder(path, id, depth + 1);
		} else if (len > sizeof(SUFFIX) - 1 &&
		           strcmp(name + len - (sizeof(SUFFIX) - 1), SUFFIX) == 0) {
			list_file(path, id);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* What of this qube outlives its restart; where nobody said, everything. */
static bool has_mark(const char *name)
{
	char path[PATH_MAX];

	return path_make(path, sizeof(path), "/run/qubes", name) == 0 && access(path, F_OK) == 0;
}

int main(int argc, char **argv)
{
	static struct apps_folders folders;
	char rw[PATH_MAX];
	struct stat st;

	(void)argc;
	(void)argv;
	log_init("qubes.GetAppmenus");
	if (has_mark("persistent-none"))
		return 0;
	menus.only_rw = has_mark("persistent-rw-only");
	if (menus.only_rw) {
		if (path_make(rw, sizeof(rw), "/rw", NULL) || stat(rw, &st))
			return 0;
		menus.rw = st.st_dev;
	}
	apps_folders(&folders);
	for (size_t i = 0; i < folders.n; i++)
		list_folder(folders.path[i], "", 0);
	for (size_t i = 0; i < menus.n; i++)
		free(menus.ids[i]);
	if (fflush(stdout) || ferror(stdout)) {
		LOG_ERRNO("write");
		return 1;
	}
	return 0;
}
