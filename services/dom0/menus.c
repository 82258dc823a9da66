/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/menus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define DESKTOP      ".desktop"
#define RESERVED     "qubes-start" /* dom0's own entry */
#define TEMPLATE_MAX (APPMENUS_LINE_ROOM * 12)

static struct log_limit warnings = LOG_LIMIT_QUBE;

static struct menus_app *find_app(struct menus *menus, const char *name)
{
	for (size_t i = 0; i < menus->n; i++) {
		if (strcmp(menus->apps[i].name, name) == 0)
			return &menus->apps[i];
	}
	return NULL;
}

/* Errors: 0, also if the application is left out; -1 without memory. */
static int take_value(struct menus *menus, const struct appmenus_value *value)
{
	struct menus_app *app = find_app(menus, value->app);
	char *text;

	if (strcmp(value->app, RESERVED) == 0)
		return 0;
	if (!app) {
		if (menus->n == APPMENUS_APPS_MAX || strlen(value->app) > MENUS_NAME_MAX) {
			LOG_QUBE(&warnings, "too many applications, or too long a name: %.32s",
			         value->app);
			return 0;
		}
		app = &menus->apps[menus->n];
		app->name = strdup(value->app);
		if (!app->name)
			return -1;
		menus->n++;
	}
	text = strdup(value->value);
	if (!text)
		return -1;
	free(app->values[value->key]);
	app->values[value->key] = text;
	return 0;
}

static bool is_ascii(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] > 0x7f)
			return false;
	}
	return true;
}

/* Lines that are not ASCII go before they are looked at, with the bytes that are no UTF-8. */
static size_t drop_not_ascii(char *data, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		const char *newline = memchr(data + at, '\n', len - at);
		size_t n = newline ? (size_t)(newline - (data + at)) + 1 : len - at;

		if (is_ascii(data + at, n)) {
			memmove(data + kept, data + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

static int read_lines(struct menus *menus, struct appmenus_text *text)
{
	static struct appmenus_value value;
	const char *line;
	size_t len;
	enum appmenus_next next;

	while ((next = appmenus_next_line(text, &line, &len)) == APPMENUS_LINE) {
		enum appmenus_result r = appmenus_parse_line(line, len, &value);

		if (r == APPMENUS_BAD)
			LOG_QUBE(&warnings, "ignoring key '%s' of %.64s",
			         appmenus_key_name(value.key), value.app);
		if (r == APPMENUS_VALUE && take_value(menus, &value)) {
			LOG_ERRNO("memory");
			return -1;
		}
	}
	if (next == APPMENUS_END)
		return 0;
	LOG(next == APPMENUS_TOO_MANY ? "Line count limit exceeded" : "not UTF-8");
	return -1;
}

int menus_read(struct menus *menus, const char *data, size_t len, bool ascii_only)
{
	struct appmenus_text text = {.data = data, .len = len};
	char *copy;
	int r;

	if (!ascii_only)
		return read_lines(menus, &text);
	copy = malloc(len + 1);
	if (!copy) {
		LOG_ERRNO("memory");
		return -1;
	}
	memcpy(copy, data, len);
	text = (struct appmenus_text){.data = copy, .len = drop_not_ascii(copy, len)};
	r = read_lines(menus, &text);
	free(copy);
	return r;
}

void menus_fini(struct menus *menus)
{
	for (size_t i = 0; i < menus->n; i++) {
		free(menus->apps[i].name);
		for (int key = 0; key < APPMENUS_KEY_MAX; key++)
			free(menus->apps[i].values[key]);
	}
	menus->n = 0;
}

int menus_path(char path[PATH_MAX], const char *qube, const char *below, const char *name,
               const char *suffix)
{
	char folder[PATH_MAX];
	int n;

	if (path_make(folder, sizeof(folder), MENUS_FOLDER, qube))
		return -1;
	n = snprintf(path, PATH_MAX, "%s%s%s%s%s%s", folder, below ? "/" : "", below ? below : "",
	             name ? "/" : "", name ? name : "", suffix ? suffix : "");
	if (n < 0 || n >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int menus_folders(const char *qube)
{
	static const char *const below[] = {NULL, MENUS_TEMPLATES, MENUS_ICONS};
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), MENUS_FOLDER, NULL) ||
	    (mkdir(path, 0755) && errno != EEXIST))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		if (menus_path(path, qube, below[i], NULL, NULL) ||
		    (mkdir(path, 0755) && errno != EEXIST))
			return -1;
	}
	return 0;
}

int menus_write(const char *path, int (*fill)(void *arg, int fd), void *arg)
{
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.new", path);
	int fd;
	int r;

	if (n < 0 || (size_t)n >= sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -1;
	r = fill(arg, fd) || fsync(fd) ? -1 : 0;
	(void)fd_close(fd);
	if (r == 0)
		r = rename(temporary, path);
	if (r) {
		int error = errno;

		(void)unlink(temporary);
		errno = error;
	}
	return r;
}

static int fill_text(void *arg, int fd)
{
	const struct wire_writer *w = arg;

	return fd_write_all(fd, w->data, w->len);
}

/* What is there already is not written again: the menus' watchers see real changes only. */
static bool is_same(const char *path, const struct wire_writer *w)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *data;
	size_t len;
	bool same;

	if (fd < 0 || fd_read_to_end(fd, w->len, TEMPLATE_MAX, &data, &len))
		return false;
	same = len == w->len && memcmp(data, w->data, len) == 0;
	free(data);
	return same;
}

/* Errors: 0; 1: this application has no entry; -1 with errno. */
static int store_app(const struct menus_app *app, const char *qube)
{
	static uint8_t room[TEMPLATE_MAX];
	struct wire_writer w = wire_writer(room, sizeof(room));
	struct appmenus_app entry = {.name = app->name};
	char path[PATH_MAX];

	for (int key = 0; key < APPMENUS_KEY_MAX; key++)
		entry.values[key] = app->values[key];
	if (!app->has_icon)
		entry.values[APPMENUS_ICON] = NULL;
	if (!appmenus_template(&w, &entry, false) || w.bad)
		return 1;
	if (menus_path(path, qube, MENUS_TEMPLATES, app->name, DESKTOP))
		return -1;
	return is_same(path, &w) ? 0 : menus_write(path, fill_text, &w);
}

static bool is_listed(const struct menus *menus, const char *file, const char *suffix)
{
	size_t len = strlen(file);
	size_t suffix_len = strlen(suffix);

	if (len <= suffix_len || strcmp(file + len - suffix_len, suffix) != 0)
		return false;
	len -= suffix_len;
	if (len == strlen(RESERVED) && memcmp(file, RESERVED, len) == 0)
		return true;
	for (size_t i = 0; i < menus->n; i++) {
		const struct menus_app *app = &menus->apps[i];

		if (app->values[APPMENUS_NAME] && strlen(app->name) == len &&
		    memcmp(app->name, file, len) == 0)
			return true;
	}
	return false;
}

static int remove_others(const struct menus *menus, const char *qube, const char *folder,
                         const char *suffix)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;
	DIR *dir;

	if (menus_path(path, qube, folder, NULL, NULL))
		return -1;
	dir = opendir(path);
	if (!dir)
		return -1;
	while (r == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_listed(menus, entry->d_name, suffix))
			continue;
		r = unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
	return r;
}

int menus_store(const struct menus *menus, const char *qube)
{
	for (size_t i = 0; i < menus->n; i++) {
		if (store_app(&menus->apps[i], qube) < 0) {
			LOG_ERRNO("the entry of %s", menus->apps[i].name);
			return -1;
		}
	}
	if (remove_others(menus, qube, MENUS_TEMPLATES, DESKTOP) ||
	    remove_others(menus, qube, MENUS_ICONS, ".png")) {
		LOG_ERRNO("entries of applications that are gone");
		return -1;
	}
	return 0;
}
