/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/apps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "proto/services/desktop.h"

#define SYSTEM_FOLDERS "/usr/local/share:/usr/share"
#define DEPTH_MAX      8 /* folders that an id may name; chosen */

static void add_folder(struct apps_folders *out, const char *path, size_t len, bool is_default)
{
	int n;

	if (out->n == APPS_FOLDERS_MAX || len == 0 || *path != '/')
		return;
	n = snprintf(out->path[out->n], PATH_MAX, "%s%.*s/applications",
	             is_default ? paths_root() : "", (int)len, path);
	if (n > 0 && n < PATH_MAX)
		out->n++;
}

void apps_folders(struct apps_folders *out)
{
	const char *home = getenv("XDG_DATA_HOME");
	const char *dirs = getenv("XDG_DATA_DIRS");
	bool is_default = !dirs || !*dirs;
	char own[PATH_MAX];

	out->n = 0;
	if (home && *home) {
		add_folder(out, home, strlen(home), false);
	} else if ((home = getenv("HOME"))) {
		int n = snprintf(own, sizeof(own), "%s/.local/share", home);

		if (n > 0 && (size_t)n < sizeof(own))
			add_folder(out, own, strlen(own), false);
	}
	if (is_default)
		dirs = SYSTEM_FOLDERS;
	while (*dirs) {
		size_t len = strcspn(dirs, ":");

		add_folder(out, dirs, len, is_default);
		dirs += len + (dirs[len] == ':');
	}
}

/* FOLDER/ID.desktop, or with a part of the id up to a '-' as a folder. */
static int find_below(const char *folder, const char *id, int depth, char path[PATH_MAX])
{
	struct stat st;
	int n = snprintf(path, PATH_MAX, "%s/%s.desktop", folder, id);

	if (n > 0 && n < PATH_MAX && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	if (depth == DEPTH_MAX)
		return -1;
	for (const char *dash = strchr(id, '-'); dash; dash = strchr(dash + 1, '-')) {
		char below[PATH_MAX];

		n = snprintf(below, sizeof(below), "%s/%.*s", folder, (int)(dash - id), id);
		if (dash == id || dash[1] == '\0' || n < 0 || (size_t)n >= sizeof(below))
			continue;
		if (stat(below, &st) == 0 && S_ISDIR(st.st_mode) &&
		    find_below(below, dash + 1, depth + 1, path) == 0)
			return 0;
	}
	return -1;
}

int apps_find(const struct apps_folders *folders, const char *id, char path[PATH_MAX])
{
	for (size_t i = 0; i < folders->n; i++) {
		if (find_below(folders->path[i], id, 0, path) == 0)
			return 0;
	}
	return -1;
}

int apps_read(const char *path, char **ret_data, size_t *ret_len)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	return fd_read_to_end(fd, 4096, DESKTOP_FILE_MAX, ret_data, ret_len);
}

/* What starting an application needs of its file. */
struct entry {
	struct desktop_line exec;
	char name[256];
	char icon[256];
	char folder[PATH_MAX];
	bool terminal;
};

static void keep(char *dst, size_t max, const struct desktop_line *line)
{
	if (line->value_len >= max || memchr(line->value, '\0', line->value_len))
		return;
	memcpy(dst, line->value, line->value_len);
	dst[line->value_len] = '\0';
}

static void read_entry(const char *data, size_t len, struct entry *out)
{
	struct desktop_reader reader = desktop_reader(data, len);
	struct desktop_line line;

	*out = (struct entry){0};
	while (desktop_next(&reader, &line)) {
		if (desktop_is_key(&line, "Exec"))
			out->exec = line;
		else if (desktop_is_key(&line, "Name"))
			keep(out->name, sizeof(out->name), &line);
		else if (desktop_is_key(&line, "Icon"))
			keep(out->icon, sizeof(out->icon), &line);
		else if (desktop_is_key(&line, "Path"))
			keep(out->folder, sizeof(out->folder), &line);
		else if (desktop_is_key(&line, "Terminal"))
			out->terminal = line.value_len == 4 && !memcmp(line.value, "true", 4);
	}
}

/* In the process that becomes the application; @report says why it does not. */
static void become(const struct entry *entry, char **argv, int report)
{
	const char *home = getenv("HOME");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int error;

	(void)setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		goto failed;
	if (*entry->folder ? chdir(entry->folder) : chdir(home && *home ? home : "/"))
		goto failed;
	fd_close_from(3, &report, 1);
	execvp(argv[0], argv);
failed:
	error = errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* The application outlives us and belongs to init: a child of a child. */
static int start(const struct entry *entry, char **argv)
{
	int ends[2];
	int error = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			become(entry, argv, ends[1]);
		_exit(pid < 0);
	}
	(void)close(ends[1]);
	if (pid > 0) {
		n = read(ends[0], &error, sizeof(error));
		errno = n == sizeof(error) ? error : 0;
	}
	error = errno;
	(void)close(ends[0]);
	errno = error;
	return pid < 0 || error ? -1 : 0;
}

static int launch(const char *path, const struct entry *entry)
{
	static char room[DESKTOP_FILE_MAX];
	char *words[DESKTOP_WORDS_MAX + 3];
	struct desktop_exec exec = {
	        .exec = entry->exec.value,
	        .exec_len = entry->exec.value_len,
	        .name = entry->name,
	        .icon = entry->icon,
	        .path = path,
	};
	static char terminal[] = "x-terminal-emulator";
	static char run[] = "-e";
	char **argv = words + 2;

	if (!exec.exec || desktop_exec_words(&exec, room, sizeof(room), argv) < 0) {
		(void)dprintf(STDOUT_FILENO, "%s: no Exec line that can be run\n", path);
		return -1;
	}
	if (entry->terminal) {
		argv = words;
		argv[0] = terminal;
		argv[1] = run;
	}
	if (start(entry, argv)) {
		(void)dprintf(STDOUT_FILENO, "%s: cannot start %s: %s\n", path, argv[0],
		              strerror(errno));
		return -1;
	}
	return 0;
}

int apps_launch(const char *path)
{
	struct entry entry;
	char *data;
	size_t len;
	int r;

	if (apps_read(path, &data, &len)) {
		(void)dprintf(STDOUT_FILENO, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	read_entry(data, len, &entry);
	r = launch(path, &entry);
	free(data);
	return r;
}
