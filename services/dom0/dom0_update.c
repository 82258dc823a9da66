/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-dom0-update: has the update qube download packages for dom0 and send them by
 * qubes.ReceiveUpdates; manual: qubes-dom0-update(1). What becomes of them: doc/updates.md.
 */
#include "services/dom0/dom0_update.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "services/dom0/image.h"
#include "services/dom0/qubesd_ask.h"
#include "services/dom0/update_request.h"

#define UPDATES          "/var/lib/qubes/updates"
#define PACKAGE          "skerry-dom0"
#define SCRIPT_MAX       16384
#define STATUS_FAILED    1
#define STATUS_NO_FOLDER 77 /* of the script below */
/* Behind the folder's name: what is there is replaced by what comes. */
#define PREPARE                                                                                    \
	"; mkdir -p -m 0775 \"$d\" 2>/dev/null; [ -w \"$d\" ] || exit 77; "                        \
	"rm -rf \"$d/etc\" \"$d/packages\"; exec tar -C \"$d\" -xf -\n"
#define STATUS_UPDATES 100 /* with --check-only: there are some */
#define TEXT_MAX       (1U << 20)

struct update {
	bool check_only;
	bool progress; /* --just-print-progress */
	char qube[32];
	char script[SCRIPT_MAX]; /* the downloader's command line */
	size_t script_len;
	bool named; /* packages were named */
	struct timespec begun;
};

static const char help[] =
        "usage: qubes-dom0-update [--check-only] [--just-print-progress] [--force-xen-upgrade]\n"
        "                         [OPTION...] [PACKAGE...]\n"
        "Downloads packages for dom0 in the qube that the property updatevm names, checks them, "
        "and\n"
        "installs an image of dom0 that is among them (skerry image shows it).\n"
        "Options that are not known here are the downloader's (dnf). Without a package: " PACKAGE
        ".\n";

static PRINTF_LIKE(2, 3) int add(struct update *u, const char *format, ...)
{
	size_t room = sizeof(u->script) - u->script_len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(u->script + u->script_len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		LOG("too many arguments");
		return -1;
	}
	u->script_len += (size_t)n;
	return 0;
}

/* A word for the shell of the update qube. */
static int add_quoted(struct update *u, const char *word)
{
	static const char letters[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	        "._+:,/@*~^=-";

	if (!*word || strspn(word, letters) != strlen(word)) {
		LOG("%s: not the name of a package, nor an option that can be passed on", word);
		return -1;
	}
	return add(u, " '%s'", word);
}

static int parse_word(struct update *u, const char *word)
{
	if (strcmp(word, "--check-only") == 0) {
		u->check_only = true;
		return add_quoted(u, word);
	}
	if (strcmp(word, "--just-print-progress") == 0) {
		u->progress = true;
		return 0;
	}
	/* Xen is a part of the image: there is no package of it whose version could jump. */
	if (strcmp(word, "--force-xen-upgrade") == 0 || strcmp(word, "--console") == 0 ||
	    strcmp(word, "--gui") == 0)
		return 0;
	if (strncmp(word, "qubes-template-", 15) == 0) {
		LOG("%s: templates do not come this way; see qvm-template(1)", word);
		return -1;
	}
	u->named |= word[0] != '-';
	return add_quoted(u, word);
}

static int parse(struct update *u, int argc, char **argv)
{
	if (add(u, "exec \"${SKERRY_ROOT-}/usr/lib/qubes/qubes-download-dom0-updates.sh\" --doit "
	           "--nogui"
	           " '--exclude=qubes-template-*'"))
		return -1;
	for (int i = 1; i < argc; i++) {
		if (parse_word(u, argv[i]))
			return -1;
	}
	if (!u->named && add_quoted(u, PACKAGE))
		return -1;
	return add(u, "\n");
}

/* A value of the admin service, to be freed; NULL after a log line. */
static char *ask(const char *method, const char *dest)
{
	const struct qubesd_question question = {
	        .socket = QUBESD_SOCKET, .method = method, .source = "dom0", .dest = dest};
	char *data;
	size_t len;

	return qubesd_ask(&question, &data, &len) ? NULL : data;
}

static int find_update_qube(struct update *u)
{
	char *data = ask("admin.property.Get+updatevm", "dom0");
	const char *name = data ? strstr(data, " type=vm ") : NULL;

	name = name ? name + strlen(" type=vm ") : "";
	if (data && untrusted_qube_name_check(name, strlen(name)) == UNTRUSTED_QUBE_NAME_OK)
		(void)snprintf(u->qube, sizeof(u->qube), "%s", name);
	else if (data)
		LOG("no qube to update through: set the property updatevm (qubes-prefs updatevm "
		    "QUBE)");
	free(data);
	return u->qube[0] ? 0 : -1;
}

static int start_update_qube(const struct update *u)
{
	char *data = ask("admin.vm.CurrentState", u->qube);
	bool runs = data && strstr(data, "power_state=Running");

	if (!data)
		return -1;
	free(data);
	if (runs)
		return 0;
	if (u->check_only) {
		LOG("%s does not run, and is not started only to look", u->qube);
		return -1;
	}
	data = ask("admin.vm.Start", u->qube);
	free(data);
	return data ? 0 : -1;
}

/*
 * The folder there: as its user; or root makes it for him; or, in a qube that nobody changes, where our own
 * downloader looks then.
 */
static int send_repositories(const struct update *u)
{
	static const char prepare[] = "d=${SKERRY_ROOT-}" UPDATE_FOLDER PREPARE;
	static const char at_home[] = "d=$HOME/.cache/qubes-dom0-updates" PREPARE;
	static const char by_root[] =
	        "d=${SKERRY_ROOT-}" UPDATE_FOLDER "; mkdir -p -m 0775 $d && chown "
	        "\"$(id -nu 1000):qubes\" $d && chmod 0775 $d\n";
	const struct update_call root = {.qube = u->qube,
	                                 .service = "qubes.VMRootShell",
	                                 .script = by_root};
	struct update_call call = {
	        .qube = u->qube, .service = "qubes.VMShell", .script = prepare, .with_tar = true};
	int status = update_call(&call);

	if (status == STATUS_NO_FOLDER) {
		if (update_call(&root) != 0)
			call.script = at_home;
		status = update_call(&call);
	}
	if (status == 0)
		return 0;
	LOG("%s of %s cannot be made ready (status %d)", UPDATE_FOLDER, u->qube, status);
	return -1;
}

/* The whole of a file of ours below UPDATES, if it was written since; NULL if not. To be freed. */
static char *read_text(const char *name, const struct timespec *since)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	struct stat st;
	char *text;
	size_t len;

	if (path_make(path, sizeof(path), UPDATES, name))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || st.st_ctim.tv_sec < since->tv_sec ||
	    (st.st_ctim.tv_sec == since->tv_sec && st.st_ctim.tv_nsec < since->tv_nsec) ||
	    fd_read_to_end(fd, 4096, TEXT_MAX, &text, &len))
		return NULL;
	return text;
}

/* Who receives holds the folder's lock until all of it is decided. */
static int wait_for_receiver(void)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;

	if (path_make(path, sizeof(path), UPDATES, NULL))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	return fd < 0 || flock(fd, LOCK_SH) ? -1 : 0;
}

static void set_feature(const char *name, const char *value)
{
	char method[64];
	struct qubesd_question question = {.socket = QUBESD_SOCKET,
	                                   .source = "dom0",
	                                   .dest = "dom0",
	                                   .method = method,
	                                   .payload = value,
	                                   .payload_len = strlen(value)};
	char *data;
	size_t len;

	(void)snprintf(method, sizeof(method), "admin.vm.feature.Set+%s", name);
	if (qubesd_ask(&question, &data, &len) == 0)
		free(data);
}

static void set_features(bool available)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
	set_feature("last-updates-check", when);
	set_feature("updates-available", available ? "1" : "");
}

static void print_list(char *text, const char *prefix, bool as_error)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (as_error)
			LOG("%s", line);
		else
			(void)printf("%s%s\n", prefix, line);
	}
}

/* Is dom0 itself among them? The list is one of ours. */
static bool has_image(const char *packages)
{
	return strncmp(packages, PACKAGE " ", strlen(PACKAGE) + 1) == 0 ||
	       strstr(packages, "\n" PACKAGE " ");
}

/* Where the disk has slots for images; else the package is only kept. */
static int install_image(const struct update *u)
{
	static const char *const places[] = {"skerry-image", NULL};
	static const char *const argv[] = {"skerry-image", "install", NULL};
	posix_spawn_file_actions_t actions;
	char path[PATH_MAX];
	pid_t pid = -1;
	int status;
	int error;

	if (path_make(path, sizeof(path), IMAGE_SLOTS, "state") || access(path, F_OK))
		return 0;
	if (path_program(path, sizeof(path), places))
		(void)snprintf(path, sizeof(path), "/usr/bin/skerry-image");
	(void)fflush(stdout);
	(void)posix_spawn_file_actions_init(&actions);
	/* Programs that read progress know no lines but those of one form. */
	error = u->progress
	                ? posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
	                : 0;
	if (!error)
		error = posix_spawn(&pid, path, &actions, NULL, (char *const *)(uintptr_t)argv,
		                    environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = error;
	if (error) {
		LOG_ERRNO("%s", path);
		return STATUS_FAILED;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return STATUS_FAILED;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : STATUS_FAILED;
}

/* What this transfer left, if there was one. */
static int report(const struct update *u)
{
	char *errors = wait_for_receiver() ? NULL : read_text("errors", &u->begun);
	char *packages = errors ? NULL : read_text("packages", &u->begun);
	const char *prefix = u->progress ? "dom0:out: " : "";
	bool any = packages && *packages;
	int status = errors ? STATUS_FAILED : 0;

	if (errors) {
		LOG("what %s sent was refused:", u->qube);
		print_list(errors, prefix, true);
	} else {
		bool image = any && has_image(packages);

		if (any)
			print_list(packages, prefix, false);
		(void)printf("%s%s\n", prefix,
		             any ? "Checked, and kept in " UPDATES "/rpm." : "No updates.");
		set_features(any);
		if (image)
			status = install_image(u);
	}
	free(errors);
	free(packages);
	return status;
}

static int update(struct update *u)
{
	const struct update_call call = {.qube = u->qube,
	                                 .service = "qubes.VMShell",
	                                 .script = u->script,
	                                 .prefix = u->progress ? "dom0:out: " : ""};
	OWNED_FD int request = -1;
	int status;

	if (find_update_qube(u))
		return STATUS_FAILED;
	request = update_request_lock();
	if (request < 0 || start_update_qube(u) || send_repositories(u))
		return STATUS_FAILED;
	if (u->progress)
		(void)fputs("dom0 updating 10.0\n", stderr);
	/* By the clock that stamps files, which lags a little. */
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &u->begun);
	/* Who only looks gets nothing. */
	if (!u->check_only && update_request_open(request, u->qube)) {
		LOG_ERRNO("the request for updates");
		return STATUS_FAILED;
	}
	status = update_call(&call);
	if (!u->check_only && update_request_close(request))
		LOG_ERRNO("the request for updates");
	if (u->check_only && (status == 0 || status == STATUS_UPDATES)) {
		set_features(status == STATUS_UPDATES);
		return status;
	}
	if (status) {
		LOG("the download in %s failed with status %d", u->qube, status);
		/* The reasons, if it was dom0 that refused. */
		(void)report(u);
		return STATUS_FAILED;
	}
	if (u->progress)
		(void)fputs("dom0 updating 90.0\n", stderr);
	return report(u);
}

int main(int argc, char **argv)
{
	static struct update u;
	int status;

	log_init("qubes-dom0-update");
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (fd_open_stdio() || paths_find_root() || parse(&u, argc, argv))
		return STATUS_FAILED;
	status = update(&u);
	if (u.progress)
		(void)fprintf(stderr, "dom0 done %s\n",
		              status == STATUS_FAILED ? "error" : "success");
	return status;
}
