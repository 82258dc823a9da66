/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-backup - the data of qubes to one encrypted archive
 *
 * Puts a profile together and gives it to the admin service, whose backup service makes the archive. The
 * passphrase goes there with it and is written to no file. A child shows how far it is, and gives the
 * backup up when the user does.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/backup/common.h"
#include "tools/client/arena.h"
#include "tools/client/qubes.h"
#include "tools/client/sink.h"
#include "tools/need_root.h"

struct options {
	const char *passphrase_file, *passphrase_vm, *location, *vm, *profile;
	const char *exclude[256];
	size_t n_exclude;
	bool compress, yes, quiet;
	char **names;
	int n_names;
};

static struct options o = {.compress = true, .vm = "dom0"};
static volatile sig_atomic_t given_up;

static void usage(FILE *to)
{
	(void)fputs("usage: qvm-backup [--exclude QUBE]... [--passphrase-file FILE | "
	            "--passphrase-vm QUBE]\n"
	            "                  [--dest-vm QUBE] [--no-compress] [--yes] [--quiet] "
	            "FILE-OR-FOLDER [QUBE...]\n"
	            "       qvm-backup [--yes] [--quiet] --profile NAME\n"
	            "Saves the data of qubes, those that are to be included in backups or those "
	            "named; dom0 is its\nhome folder.\n",
	            to);
}

/* 0: go on; else exit status + 1. */
static int parse(int argc, char **argv)
{
	static const struct option list[] = {{"exclude", required_argument, NULL, 'x'},
	                                     {"passphrase-file", required_argument, NULL, 'p'},
	                                     {"passphrase-vm", required_argument, NULL, 'v'},
	                                     {"dest-vm", required_argument, NULL, 'd'},
	                                     {"profile", required_argument, NULL, 'P'},
	                                     {"compress", no_argument, NULL, 'z'},
	                                     {"no-compress", no_argument, NULL, 'n'},
	                                     {"yes", no_argument, NULL, 'y'},
	                                     {"quiet", no_argument, NULL, 'q'},
	                                     {"help", no_argument, NULL, 'h'},
	                                     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "x:p:d:zyqh", list, NULL)) != -1) {
		if (c == 'x' && o.n_exclude < ARRAY_LEN(o.exclude))
			o.exclude[o.n_exclude++] = optarg;
		else if (c == 'p')
			o.passphrase_file = optarg;
		else if (c == 'v')
			o.passphrase_vm = optarg;
		else if (c == 'd')
			o.vm = optarg;
		else if (c == 'P')
			o.profile = optarg;
		else if (c == 'z' || c == 'n')
			o.compress = c == 'z';
		else if (c == 'y')
			o.yes = true;
		else if (c == 'q')
			o.quiet = true;
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 1 : 3;
		}
	}
	if (o.profile ? optind < argc : optind >= argc) {
		usage(stderr);
		return 3;
	}
	o.location = argv[optind++];
	o.names = argv + optind;
	o.n_names = o.profile ? 0 : argc - optind;
	return 0;
}

/* A value in quotes. Control bytes, which no profile has, are the service's to refuse. */
static const char *quoted(const char *text)
{
	char *out = arena_alloc(2 * strlen(text) + 3), *p = out;

	*p++ = '\'';
	for (; *text; text++) {
		*p++ = *text;
		if (*text == '\'')
			*p++ = '\'';
	}
	*p++ = '\'';
	*p = '\0';
	return out;
}

static void add_name(struct text_list *lines, const char *name)
{
	text_list_add(lines, arena_printf("- %s", quoted(name)));
}

/* 0, or 1 after complain(). */
static int add_included(struct text_list *lines)
{
	struct qubes qubes = qubes_load();
	size_t before = lines->n;

	if (qubes.reply.error)
		return complain("%s", qubes.reply.text);
	for (int i = 0; i < o.n_names; i++)
		add_name(lines, o.names[i]);
	for (size_t i = 0; o.n_names == 0 && i < qubes.n; i++) {
		struct qube *q = &qubes.items[i];
		const char *include = strcmp(q->class, "AdminVM") == 0
		                              ? NULL
		                              : qube_property(q, "include_in_backups");

		if (include && strcmp(include, "True") == 0)
			add_name(lines, q->name);
	}
	return lines->n > before ? 0 : complain("There is nothing to save");
}

/* Of a file: its folder as it is reached from everywhere. NULL after complain(). */
static const char *whole_path(const char *path)
{
	char folder[PATH_MAX], *cut = arena_dup(path), *slash = strrchr(cut, '/');

	if (strcmp(o.vm, "dom0") != 0)
		return path;
	if (realpath(path, folder))
		return arena_dup(folder);
	if (slash)
		*slash = '\0';
	if (realpath(!slash ? "." : slash == cut ? "/" : cut, folder))
		return arena_printf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
		                    slash ? slash + 1 : path);
	(void)complain("%s: %s", path, strerror(errno));
	return NULL;
}

/* Everything but the passphrase; NULL after complain(). */
static const char *make_profile(void)
{
	struct text_list lines = {0};
	const char *path = whole_path(o.location);

	text_list_add(&lines, "include:");
	if (!path || add_included(&lines))
		return NULL;
	text_list_add(&lines, o.n_exclude ? "exclude:" : "exclude: []");
	for (size_t i = 0; i < o.n_exclude; i++)
		add_name(&lines, o.exclude[i]);
	text_list_add(&lines, arena_printf("destination_vm: %s", quoted(o.vm)));
	text_list_add(&lines, arena_printf("destination_path: %s", quoted(path)));
	text_list_add(&lines, o.compress ? "compression: True" : "compression: False");
	if (o.passphrase_vm)
		text_list_add(&lines, arena_printf("passphrase_vm: %s", quoted(o.passphrase_vm)));
	text_list_add(&lines, "");
	return text_list_join(&lines, "\n");
}

static bool agreed(const char *table)
{
	char answer[8] = "";

	if (!o.quiet || !o.yes)
		(void)fputs(table, stdout);
	if (o.yes)
		return true;
	(void)printf("Do you want to proceed? [y/N] ");
	(void)fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void on_signal(int signo UNUSED)
{
	given_up = 1;
}

static void show(const struct admin_event *e, const char *name)
{
	const char *profile = "", *progress = "";

	for (size_t i = 0; i < e->n; i++) {
		if (strcmp(e->keys[i], "backup_profile") == 0)
			profile = e->values[i];
		else if (strcmp(e->keys[i], "progress") == 0)
			progress = e->values[i];
	}
	if (strcmp(e->name, "backup-progress") == 0 && strcmp(profile, name) == 0)
		(void)fprintf(stderr, "\r%s %% ", progress);
}

/* The child: until it is killed. */
NORETURN static void watch(const char *name)
{
	const char *error;
	int fd = o.quiet || !isatty(STDERR_FILENO) ? -1 : admin_events_open("dom0", &error);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	struct sink sink = {0};
	struct admin_event e;
	ssize_t n;

	for (;;) {
		if (given_up) {
			given_up = 0;
			(void)admin_call("admin.backup.Cancel", name, "dom0", NULL);
		}
		/* A signal that comes before poll() is seen a moment later. */
		if (poll(&wait, 1, 500) <= 0)
			continue;
		if (sink_read(&sink, fd) != SINK_MORE)
			wait.fd = -1;
		while ((n = admin_event_decode(sink.data, sink.len, &e)) > 0) {
			show(&e, name);
			sink_drop(&sink, (size_t)n);
		}
	}
}

static pid_t watcher;

static void pass_on(int signo UNUSED)
{
	if (watcher > 0)
		(void)kill(watcher, SIGTERM);
}

static void start_watching(const char *name)
{
	struct sigaction child = {.sa_handler = on_signal}, parent = {.sa_handler = pass_on};

	parent.sa_flags = SA_RESTART;
	(void)sigaction(SIGTERM, &child, NULL);
	(void)sigaction(SIGINT, &child, NULL);
	watcher = fork();
	if (watcher == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		watch(name);
	}
	/* The terminal tells both. */
	(void)sigaction(SIGTERM, &parent, NULL);
	parent.sa_handler = SIG_IGN;
	(void)sigaction(SIGINT, &parent, NULL);
}

static void end_watching(void)
{
	if (watcher <= 0)
		return;
	(void)kill(watcher, SIGKILL);
	(void)waitpid(watcher, NULL, 0);
}

static int execute(const char *name, const char *profile)
{
	struct admin_reply r;

	start_watching(name);
	r = profile ? admin_call_internal("internal.backup.Execute", name, "dom0", profile)
	            : admin_call("admin.backup.Execute", name, "dom0", NULL);
	end_watching();
	if (r.error)
		return complain("The backup was not made: %s", r.text);
	if (!o.quiet)
		(void)printf("The backup is made.\n");
	return 0;
}

int main(int argc, char **argv)
{
	int r = parse(argc, argv);
	const char *name, *profile = NULL, *whole = NULL;
	struct admin_reply info;
	char *pass = NULL;

	if (r)
		return r - 1;
	need_root("qvm-backup");
	(void)signal(SIGPIPE, SIG_IGN);
	name = o.profile ? o.profile : arena_printf("qvm-backup-%d", (int)getpid());
	if (!o.profile && !(profile = make_profile()))
		return 1;
	info = profile ? admin_call_internal("internal.backup.Info", name, "dom0", profile)
	               : admin_call("admin.backup.Info", name, "dom0", NULL);
	if (info.error)
		return complain("%s", info.text);
	if (!agreed(info.content))
		return complain("Nothing was saved");
	if (profile && !o.passphrase_vm) {
		pass = passphrase_read(o.passphrase_file, true);
		if (!pass)
			return 1;
		whole = arena_printf("%spassphrase_text: %s\n", profile, quoted(pass));
		explicit_bzero(pass, strlen(pass));
		free(pass);
	}
	return execute(name, whole ? whole : profile);
}
