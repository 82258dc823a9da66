/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/repos.h"

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

#define FILE_URL "file://"

bool repos_id_legal(const char *id)
{
	static const char letters[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	        "._+:-";
	size_t len = strlen(id);

	return len > 0 && len < REPOS_TEXT_MAX && strspn(id, letters) == len && id[0] != '-';
}

/* In place: without blanks at both ends. */
static char *strip(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* [ID], in place; NULL if the line is none. */
static char *section_of(char *line)
{
	char *end = line[0] == '[' ? strchr(line, ']') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	return line + 1;
}

/* The value of KEY=VALUE, in place; NULL if the line is none. */
static char *value_of(char *line, const char *key)
{
	char *at = line + strspn(line, " \t");

	if (strncmp(at, key, strlen(key)) != 0)
		return NULL;
	at += strlen(key);
	at += strspn(at, " \t");
	return *at == '=' ? strip(at + 1) : NULL;
}

static int take_text(char *dst, size_t max, const char *value)
{
	int n = snprintf(dst, max, "%s", value);

	return n < 0 || (size_t)n >= max ? -1 : 0;
}

static bool is_true(const char *value)
{
	return strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 ||
	       strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0;
}

static int take_line(struct repo *repo, char *line)
{
	char *value;

	if ((value = value_of(line, "name")))
		return take_text(repo->name, sizeof(repo->name), value);
	if ((value = value_of(line, "enabled")))
		repo->enabled = is_true(value);
	else if ((value = value_of(line, "gpgkey")) &&
	         strncmp(value, FILE_URL, strlen(FILE_URL)) == 0)
		return take_text(repo->key, sizeof(repo->key), value + strlen(FILE_URL));
	return 0;
}

static int read_repos(struct repos *repos, const char *path, char *text)
{
	struct repo *repo = NULL;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *id = section_of(line);

		if (id && repos->n == REPOS_MAX)
			return -1;
		if (id && strcmp(id, "main") == 0) {
			repo = NULL;
		} else if (id) {
			repo = &repos->list[repos->n];
			*repo = (struct repo){.enabled = true};
			if (!repos_id_legal(id) || take_text(repo->id, sizeof(repo->id), id) ||
			    take_text(repo->file, sizeof(repo->file), path))
				return -1;
			repos->n++;
		} else if (repo && take_line(repo, line)) {
			return -1;
		}
	}
	return 0;
}

int repos_load_file(struct repos *repos, const char *path)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	size_t len;
	int r;

	if (fd < 0 || fd_read_to_end(fd, 4096, REPOS_FILE_MAX, &text, &len)) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	r = read_repos(repos, path, text);
	free(text);
	if (r)
		LOG("%s: more repositories than are taken, or a text that is too long", path);
	return r;
}

int repos_load(struct repos *repos, const char *folder)
{
	char path[PATH_MAX];
	struct dirent **entries;
	int r = 0;
	int n = scandir(folder, &entries, NULL, alphasort);

	repos->n = 0;
	if (n < 0) {
		if (errno == ENOENT)
			return 0;
		LOG_ERRNO("%s", folder);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		size_t len = strlen(name);

		if (r == 0 && name[0] != '.' && len > 5 && strcmp(name + len - 5, ".repo") == 0) {
			int made = snprintf(path, sizeof(path), "%s/%s", folder, name);

			r = made < 0 || (size_t)made >= sizeof(path) ? -1
			                                             : repos_load_file(repos, path);
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

const struct repo *repos_find(const struct repos *repos, const char *id)
{
	for (size_t i = 0; i < repos->n; i++) {
		if (strcmp(repos->list[i].id, id) == 0)
			return &repos->list[i];
	}
	return NULL;
}

/* All of the file, but what is said of it in that section, which is said at its beginning. */
static void write_changed(FILE *to, const struct repo *repo, bool enabled, char *text)
{
	bool inside = false;
	char *rest = text;

	while (rest && *rest) {
		char *line = strsep(&rest, "\n");
		char copy[REPOS_TEXT_MAX];
		char *id;

		(void)snprintf(copy, sizeof(copy), "%s", line);
		id = section_of(copy);
		if (id)
			inside = strcmp(id, repo->id) == 0;
		if (!id && inside && value_of(copy, "enabled"))
			continue;
		(void)fprintf(to, "%s\n", line);
		if (id && inside)
			(void)fprintf(to, "enabled=%d\n", enabled);
	}
}

int repos_enable(const struct repo *repo, bool enabled)
{
	char temporary[PATH_MAX];
	OWNED_FD int in = open(repo->file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	size_t len;
	FILE *to;
	int out;
	int failed;

	if (in < 0 || fstat(in, &st) || fd_read_to_end(in, 4096, REPOS_FILE_MAX, &text, &len))
		return -1;
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", repo->file) >=
	            (int)sizeof(temporary) ||
	    (out = mkostemp(temporary, O_CLOEXEC)) < 0) {
		free(text);
		return -1;
	}
	to = fdopen(out, "w");
	if (to)
		write_changed(to, repo, enabled, text);
	free(text);
	failed = !to || ferror(to) || fflush(to) || fchmod(out, st.st_mode & 0777) || fsync(out);
	if (to ? fclose(to) : close(out))
		failed = 1;
	if (!failed && rename(temporary, repo->file) == 0)
		return 0;
	(void)unlink(temporary);
	return -1;
}
