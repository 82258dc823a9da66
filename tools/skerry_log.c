/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry log - logs, some of whose lines qubes could choose, on any terminal
 *
 * Every line passes the escaper: on a UTF-8 terminal what may be shown stays, elsewhere printable ASCII.
 * Files are opened for reading only, and are read from their end, so a log that a qube filled costs no
 * more than any other.
 */
#include "tools/skerry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call/number.h"
#include "lib/base/escape.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/untrusted/text.h"

#define LOGS        "/var/log/qubes"
#define LINE_BYTES  8192        /* of a line; the rest is cut off with a mark; chosen */
#define TAIL_BYTES  (16U << 20) /* read from a file's end at most; chosen */
#define FILES_MAX   256

#define VIEW_MEMORY (256U << 20) /* the end of one file at a time; chosen */

struct view {
	const struct skerry_options *options;
	long n_lines;
	bool follow;
	bool utf8;
	bool elsewhere; /* a file was named by its path */
	size_t n_files;
	struct log_file {
		char path[PATH_MAX];
		const char *name; /* behind the last slash of path */
		off_t at;         /* bytes shown */
		bool cut;         /* within a line of which enough was shown */
		size_t line_len;
		char line[LINE_BYTES];
	} * files;
	const char *headed; /* the file whose name was printed last */
};

static void print_line(struct view *view, const struct log_file *file, const char *line, size_t len)
{
	static char safe[LINE_BYTES * 4 + 1];
	struct json_object *json;

	(void)(view->utf8 ? untrusted_text_escape : escape_text)(safe, sizeof(safe), line, len);
	if (view->options->json) {
		json = json_object_new_object();
		(void)json_object_object_add(json, "file", json_object_new_string(file->name));
		(void)json_object_object_add(json, "line", json_object_new_string(safe));
		printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
		json_object_put(json);
		return;
	}
	if (view->n_files > 1 && view->headed != file->name) {
		printf("%s==> %s <==%s\n", skerry_style(view->options, STYLE_BOLD), file->name,
		       skerry_style(view->options, STYLE_PLAIN));
		view->headed = file->name;
	}
	printf("%s\n", safe);
}

/* More of a file; a line is shown when it ends, or when it is longer than is shown. */
static void take(struct view *view, struct log_file *file, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			if (!file->cut)
				print_line(view, file, file->line, file->line_len);
			file->line_len = 0;
			file->cut = false;
			continue;
		}
		if (file->cut)
			continue;
		if (file->line_len == sizeof(file->line)) {
			memcpy(file->line + sizeof(file->line) - 3, "...", 3);
			print_line(view, file, file->line, file->line_len);
			file->cut = true;
			continue;
		}
		file->line[file->line_len++] = data[i] == '\t' ? ' ' : data[i];
	}
}

/* Where the last n_lines of a file begin. */
static off_t find_start(const char *data, size_t len, long n_lines)
{
	size_t at = len;

	if (at > 0 && data[at - 1] == '\n')
		at--;
	for (long n = 0; at > 0; at--) {
		if (data[at - 1] == '\n' && ++n == n_lines)
			break;
	}
	return (off_t)at;
}

static int show_new(struct view *view, struct log_file *file, bool first)
{
	OWNED_FD int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	off_t from;
	size_t len;
	char *data;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	/* A file that became shorter is a new one. */
	if (st.st_size < file->at)
		file->at = 0;
	from = MAX(file->at, st.st_size - (off_t)TAIL_BYTES);
	len = (size_t)(st.st_size - from);
	data = malloc(len + 1);
	if (!data)
		return -1;
	n = pread(fd, data, len, from);
	if (n < 0) {
		free(data);
		return -1;
	}
	if (first && view->n_lines > 0) {
		off_t start = find_start(data, (size_t)n, view->n_lines);

		take(view, file, data + start, (size_t)(n - start));
	} else if (!first) {
		take(view, file, data, (size_t)n);
	}
	file->at = from + n;
	free(data);
	return 0;
}

static int follow(struct view *view)
{
	OWNED_FD int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char events[4096];

	for (size_t i = 0; i < view->n_files; i++) {
		if (watch < 0 || inotify_add_watch(watch, view->files[i].path, IN_MODIFY) < 0) {
			(void)fprintf(stderr, "skerry log: %s: %s\n", view->files[i].name,
			              strerror(errno));
			return SKERRY_REFUSED;
		}
	}
	for (;;) {
		struct pollfd p = {.fd = watch, .events = POLLIN};

		for (size_t i = 0; i < view->n_files; i++)
			(void)show_new(view, &view->files[i], false);
		if (fflush(stdout) || ferror(stdout))
			return SKERRY_DONE; /* nobody reads any more */
		if (poll(&p, 1, 1000) > 0 && read(watch, events, sizeof(events)) < 0 &&
		    errno != EAGAIN)
			return SKERRY_REFUSED;
	}
}

static int show(struct view *view)
{
	for (size_t i = 0; i < view->n_files; i++) {
		struct log_file *file = &view->files[i];

		if (show_new(view, file, true)) {
			(void)fprintf(stderr, "skerry log: %s: %s\n", file->name, strerror(errno));
			return SKERRY_REFUSED;
		}
		if (!view->follow && file->line_len > 0 && !file->cut)
			print_line(view, file, file->line, file->line_len);
	}
	return view->follow ? follow(view) : SKERRY_DONE;
}

static int add_file(struct view *view, const char *path)
{
	struct log_file *file = &view->files[view->n_files];
	const char *slash;

	if (view->n_files == FILES_MAX || strlen(path) >= sizeof(file->path))
		return -1;
	memcpy(file->path, path, strlen(path) + 1);
	slash = strrchr(file->path, '/');
	file->name = slash ? slash + 1 : file->path;
	view->n_files++;
	return 0;
}

/* qrexec.QUBE.log, guid.QUBE.log, QUBE.log: a part between dots is the qube's name. */
static bool is_of(const char *file, const char *qube)
{
	size_t len = strlen(qube);

	for (const char *at = strstr(file, qube); at; at = strstr(at + 1, qube)) {
		if ((at == file || at[-1] == '.') && at[len] == '.')
			return true;
	}
	return false;
}

static int is_log(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".log") == 0;
}

/* A path; a file of the folder of logs; or a qube, for all of its files. */
static int add_named(struct view *view, const char *word)
{
	struct dirent **entries;
	char folder[PATH_MAX];
	char path[PATH_MAX + NAME_MAX + 2];
	size_t before = view->n_files;
	int n;

	if (strchr(word, '/')) {
		view->elsewhere = true;
		return add_file(view, word);
	}
	if (path_make(folder, sizeof(folder), LOGS, NULL))
		return -1;
	n = scandir(folder, &entries, is_log, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, word) == 0 || is_of(name, word)) {
			(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
			(void)add_file(view, path);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return view->n_files > before ? 0 : -1;
}

static int list_logs(const struct skerry_options *options)
{
	struct dirent **entries;
	char folder[PATH_MAX];
	int n;

	if (path_make(folder, sizeof(folder), LOGS, NULL))
		return SKERRY_REFUSED;
	n = scandir(folder, &entries, is_log, alphasort);
	if (n < 0) {
		(void)fprintf(stderr, "skerry log: %s: %s\n", folder, strerror(errno));
		return SKERRY_REFUSED;
	}
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX + NAME_MAX + 2];
		char safe[NAME_MAX * 4 + 1];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		(void)escape_text(safe, sizeof(safe), entries[i]->d_name,
		                  strlen(entries[i]->d_name));
		if (stat(path, &st) == 0 && options->json)
			printf("{\"file\":\"%s\",\"bytes\":%lld}\n", safe, (long long)st.st_size);
		else if (stat(path, &st) == 0)
			printf("%10lld  %s\n", (long long)st.st_size, safe);
		free(entries[i]);
	}
	free(entries);
	return SKERRY_DONE;
}

/* Whoever takes it over by a line reads logs, and writes to this terminal; no more, where the kernel can. */
static void confine_view(const struct view *view)
{
	static const struct confine_call calls[] = {
	        CONFINE_CALLS_BASE,
	        {"openat", "logs, also such as are made anew; Landlock lets none be written"},
	        {"open", "the same, other C libraries"},
	        {"fstat", "sizes; the kind of standard output"},
	        {"newfstatat", "whether it is still the same file"},
	        {"stat", "the same, other C libraries"},
	        {"statx", "the same, other C libraries"},
	        {"lseek", "the end of a file"},
	        {"pread64", "the end of a file"},
	        {"inotify_init1", "what is added"},
	        {"inotify_add_watch", "what is added"},
	        {"poll", "what is added"},
	        {"ppoll", "the same, other C libraries"},
	        {"writev", "output, other C libraries"},
	        {"ioctl",
	         "whether output is a terminal",
	         1,
	         {{.arg = 1, .mask = ~0ULL, .value = TCGETS}}},
	};
	static const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	char folder[PATH_MAX] = "/";
	const struct confine_path paths[] = {{.path = folder}};
	const struct confine_rights rights = {
	        .name = "skerry log",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = VIEW_MEMORY,
	        .wanted = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS |
	                  CONFINE_LANDLOCK,
	};

	/* One that the user named by its path may lie anywhere. */
	if (!view->elsewhere && path_make(folder, sizeof(folder), LOGS, NULL))
		return;
	/* Logs are what is looked at when something is wrong: no kernel is too old for that. */
	log_set_fd(-1);
	if (confine(&rights))
		(void)fputs("skerry log: not confined\n", stderr);
	log_set_fd(STDERR_FILENO);
}

int skerry_log(int argc, char **argv, const struct skerry_options *options)
{
	struct view view = {.options = options, .n_lines = 50};
	int status = SKERRY_DONE;
	bool any = false;

	(void)setlocale(LC_CTYPE, "");
	view.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	view.files = calloc(FILES_MAX, sizeof(*view.files));
	if (!view.files)
		return SKERRY_REFUSED;
	for (int i = 1; i < argc && status == SKERRY_DONE; i++) {
		if (strcmp(argv[i], "--follow") == 0 || strcmp(argv[i], "-f") == 0) {
			view.follow = true;
		} else if (strncmp(argv[i], "--lines=", 8) == 0) {
			if (number_parse(argv[i] + 8, 0, 1000000, &view.n_lines))
				status = skerry_usage(argv[0]);
		} else if (argv[i][0] == '-') {
			status = skerry_usage(argv[0]);
		} else if (any = true, add_named(&view, argv[i])) {
			char safe[PATH_MAX];

			(void)escape_text(safe, sizeof(safe), argv[i], strlen(argv[i]));
			(void)fprintf(stderr, "skerry log: no log of %s; 'skerry log' lists them\n",
			              safe);
			status = SKERRY_REFUSED;
		}
	}
	if (status == SKERRY_DONE && any)
		confine_view(&view);
	if (status == SKERRY_DONE)
		status = any ? show(&view) : list_logs(options);
	free(view.files);
	return status;
}
