/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-backup-restore - qubes out of a backup, or whether it is whole
 *
 * The archive may come from anywhere: it is a backup when the passphrase says so, part by part. What it
 * says is then done through the admin service, with the checks that this makes for everybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/need_root.h"
#include "services/backup/xml.h"
#include "tools/backup/common.h"
#include "tools/backup/restore_settings.h"
#include "tools/client/qubes.h"

#define SMALL_MAX (1U << 20) /* bytes of rules, of notes; chosen */

struct options {
	const char *passphrase_file, *location;
	bool verify_only, rename_conflicting, skip_conflicting, skip_home, quiet;
	char **names;
	int n_names;
};

static struct options o;
static struct backup_archive archive;
static struct plan plan;
static struct qubes here;
static bool shown = true;
static int failures;

static void usage(FILE *to)
{
	(void)fputs(
	        "usage: qvm-backup-restore [--verify-only] [--rename-conflicting | "
	        "--skip-conflicting]\n"
	        "                          [--skip-dom0-home] [--passphrase-file FILE] [--quiet] "
	        "FILE [QUBE...]\n"
	        "Restores the qubes of a backup, or those named; or only reads all of it and "
	        "says if it is whole.\n",
	        to);
}

/* 0: go on; else exit status + 1. */
static int parse(int argc, char **argv)
{
	static const struct option list[] = {{"verify-only", no_argument, NULL, 'v'},
	                                     {"rename-conflicting", no_argument, NULL, 'r'},
	                                     {"skip-conflicting", no_argument, NULL, 's'},
	                                     {"skip-dom0-home", no_argument, NULL, 'H'},
	                                     {"passphrase-file", required_argument, NULL, 'p'},
	                                     {"quiet", no_argument, NULL, 'q'},
	                                     {"help", no_argument, NULL, 'h'},
	                                     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "p:qh", list, NULL)) != -1) {
		if (c == 'v')
			o.verify_only = true;
		else if (c == 'r')
			o.rename_conflicting = true;
		else if (c == 's')
			o.skip_conflicting = true;
		else if (c == 'H')
			o.skip_home = true;
		else if (c == 'p')
			o.passphrase_file = optarg;
		else if (c == 'q')
			o.quiet = true;
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 1 : 3;
		}
	}
	if (optind >= argc) {
		usage(stderr);
		return 3;
	}
	o.location = argv[optind++];
	o.names = argv + optind;
	o.n_names = argc - optind;
	return 0;
}

static int read_plan(void)
{
	char path[BACKUP_PATH_LEN];
	OWNED_FD int fd = memfd_create("qubes.xml", MFD_CLOEXEC);
	uint64_t size;
	char *data;
	int r;

	if (fd < 0 || backup_next(&archive, path) || strcmp(path, "qubes.xml") != 0)
		return complain("%s", archive.fault.text[0] ? archive.fault.text
		                                            : "The backup has no qubes.xml");
	if (backup_take(&archive, BACKUP_FORM_FILE, fd, XML_SIZE_MAX, &size))
		return complain("%s", archive.fault.text);
	data = malloc((size_t)size + 1);
	r = !data || pread(fd, data, (size_t)size, 0) != (ssize_t)size ||
	    plan_read(&plan, data, (size_t)size);
	free(data);
	return r ? complain("The backup's qubes.xml is not one") : 0;
}

static bool selected(const char *name)
{
	for (int i = 0; i < o.n_names; i++) {
		if (strcmp(o.names[i], name) == 0)
			return true;
	}
	return o.n_names == 0;
}

static bool taken(const char *name)
{
	if (qubes_find(&here, name))
		return true;
	for (size_t i = 0; i < plan.n; i++) {
		if (strcmp(plan.list[i].name, name) == 0)
			return true;
	}
	return false;
}

/* How it is to be called here; "" if it is left out. 0, or 1 after complain(). */
static int choose_name(struct plan_qube *q)
{
	const char *name = pairs_get(&q->properties, "name");

	if (!name || !q->content || !selected(name) || strcmp(q->class, "AdminVM") == 0)
		return 0;
	if (strlen(name) >= 32)
		return complain("A qube of the backup has a name that is too long");
	if (!taken(name)) {
		memcpy(q->name, name, strlen(name) + 1);
		return 0;
	}
	if (o.skip_conflicting)
		return 0;
	if (!o.rename_conflicting)
		return complain("There is a qube %s already: use --rename-conflicting or "
		                "--skip-conflicting",
		                name);
	for (int i = 1; i < 1000; i++) {
		char other[64];

		(void)snprintf(other, sizeof(other), "%.28s%d", name, i);
		if (taken(other))
			continue;
		memcpy(q->name, other, sizeof(other));
		return 0;
	}
	return complain("There is no free name for %s", name);
}

/* Whether a line of a list is this word. */
static bool listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		if (strncmp(list, word, len) == 0 && list[len] == '\n')
			return true;
		list += strcspn(list, "\n");
		list += *list == '\n';
	}
	return false;
}

/* Where its volumes were, if there are such pools here. */
static void put_pools(const struct plan_qube *q, char *payload, size_t max)
{
	static struct admin_reply pools;

	if (!pools.content)
		pools = admin_call("admin.pool.List", NULL, "dom0", NULL);
	for (size_t i = 0; !pools.error && i < q->pools.n; i++) {
		size_t len = strlen(payload);

		if (listed(pools.content, q->pools.list[i].value))
			(void)snprintf(payload + len, max - len, " pool:%s=%s",
			               q->pools.list[i].name, q->pools.list[i].value);
	}
}

static void make_qube(struct plan_qube *q)
{
	const char *label = pairs_get(&q->properties, "label"),
	           *template = pairs_get(&q->properties, "template");
	char method[64], payload[400];
	struct admin_reply r;

	(void)snprintf(method, sizeof(method), "admin.vm.CreateInPool.%s", q->class);
	(void)snprintf(payload, sizeof(payload), "name=%s label=%s", q->name,
	               label ? label : "red");
	put_pools(q, payload, sizeof(payload));
	if (template && !taken(renamed(&plan, template))) {
		(void)complain("%s: its template %s is not here: the default one is taken", q->name,
		               template);
		template = NULL;
	}
	r = admin_call(method, template ? renamed(&plan, template) : NULL, "dom0", payload);
	if (r.error) {
		(void)complain("%s cannot be made: %s", q->name, r.text);
		q->failed = true;
		failures++;
		return;
	}
	q->made = true;
	/* Nobody starts it before it is whole. */
	r = admin_call("admin.vm.tag.Set", IN_PROGRESS, q->name, NULL);
	settings_warn(q, IN_PROGRESS, &r);
	settings_own(q);
	if (!o.quiet)
		(void)printf("%s\n", q->name);
}

/* Those without a template first, then those whose template is one of these, then their disposables. */
static void make_qubes(void)
{
	static const char *const order[] = {"TemplateVM", "StandaloneVM", "AppVM", "DispVM",
	                                    "RemoteVM"};

	settings_labels(&plan);
	for (size_t c = 0; c < ARRAY_LEN(order); c++) {
		for (size_t i = 0; i < plan.n; i++) {
			if (plan.list[i].name[0] && strcmp(plan.list[i].class, order[c]) == 0)
				make_qube(&plan.list[i]);
		}
	}
	for (size_t i = 0; i < plan.n; i++) {
		if (plan.list[i].made)
			settings_links(&plan, &plan.list[i]);
	}
}

static struct plan_qube *owner_of(const char *path, const char **ret_file)
{
	for (size_t i = 0; i < plan.n; i++) {
		size_t len = strlen(plan.list[i].path);

		if (len > 0 && strncmp(path, plan.list[i].path, len) == 0) {
			*ret_file = path + len;
			return &plan.list[i];
		}
	}
	return NULL;
}

static int import_end(const struct plan_qube *q, const char *volume, bool ok)
{
	struct admin_reply r = admin_call_internal("internal.vm.volume.ImportEnd", volume, q->name,
	                                           ok ? "ok" : "fail\nthe backup is damaged");

	if (ok && r.error)
		return complain("%s: its volume %s: %s", q->name, volume, r.text);
	return 0;
}

/* Into the file that the admin service names; a tree is taken apart by the storage service. */
static int restore_volume(struct plan_qube *q, const char *volume, bool tree)
{
	struct admin_reply r =
	        admin_call_internal("internal.vm.volume.ImportBegin", volume, q->name, NULL);
	const char *path, *suffix;
	OWNED_FD int fd = -1;
	uint64_t size = 0;
	bool ok;

	if (r.error)
		return complain("%s: its volume %s: %s", q->name, volume, r.text);
	path = outer_path(strchr(r.content, ' ') ? strchr(r.content, ' ') + 1 : "");
	suffix = path ? strrchr(path, '.') : NULL;
	ok = suffix && (strcmp(suffix, ".tar") == 0) == tree;
	if (path && !ok)
		(void)complain("%s: its volume %s is %s in the backup and %s here: they cannot be "
		               "exchanged",
		               q->name, volume, tree ? "a directory tree" : "an image",
		               tree ? "an image" : "a directory tree");
	fd = ok ? open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (ok && (fd < 0 || ftruncate(fd, 0)))
		(void)complain("%s: %s", path, strerror(errno));
	/* It is read in any case: what follows it in the backup may be good. */
	if (backup_take(&archive, BACKUP_FORM_FILE, fd, 1ULL << 60, &size)) {
		(void)import_end(q, volume, false);
		return complain("%s", archive.fault.text);
	}
	if (fd < 0 || fsync(fd)) {
		(void)import_end(q, volume, false);
		q->failed = true;
		failures++;
		return 0;
	}
	return import_end(q, volume, true);
}

/* A new folder in the user's home, for dom0's: nothing that is there is touched. Descriptor or -1. */
static int home_folder(void)
{
	const char *home = getenv("HOME");
	char path[PATH_MAX], when[64];
	time_t now = time(NULL);
	struct tm tm;
	OWNED_FD int fd = -1;

	if (!home || !localtime_r(&now, &tm) ||
	    strftime(when, sizeof(when), "home-restore-%Y-%m-%d-%H%M%S", &tm) == 0 ||
	    snprintf(path, sizeof(path), "%s/%s", home, when) >= (int)sizeof(path)) {
		(void)complain("There is no home folder to put dom0's into");
		return -1;
	}
	if (mkdir(path, 0700) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mkdirat(fd, "dom0-home", 0700)) {
		(void)complain("%s: %s", path, strerror(errno));
		return -1;
	}
	if (!o.quiet)
		(void)printf("dom0's home folder: %s\n", path);
	return fd_take(&fd);
}

static int take_home(void)
{
	bool wanted = !o.verify_only && !o.skip_home && selected("dom0");
	OWNED_FD int top = wanted ? home_folder() : -1;
	uint64_t size;

	if (wanted && top < 0)
		return 1;
	return backup_take(&archive, BACKUP_FORM_HOME, top, 1ULL << 60, &size)
	               ? complain("%s", archive.fault.text)
	               : 0;
}

/* What is small, whole; and to the qube if it was made. */
static int take_small(struct plan_qube *q, const char *file)
{
	OWNED_FD int fd = memfd_create("file", MFD_CLOEXEC);
	uint64_t size = 0;
	char *data;
	int r = 0;

	if (fd < 0 || backup_take(&archive, BACKUP_FORM_FILE, fd, SMALL_MAX, &size))
		return complain("%s", fd < 0 ? strerror(errno) : archive.fault.text);
	data = malloc((size_t)size + 1);
	if (!data || pread(fd, data, (size_t)size, 0) != (ssize_t)size)
		r = complain("%s: %s", file, strerror(errno));
	else if (q->made && !o.verify_only)
		settings_file(q, file, data, (size_t)size);
	free(data);
	return r;
}

static int next_file(const char *path)
{
	const char *file = "", *suffix;
	struct plan_qube *q = owner_of(path, &file);
	char volume[32] = "";
	uint64_t size;

	suffix = strrchr(file, '.');
	if (suffix && (size_t)(suffix - file) < sizeof(volume))
		memcpy(volume, file, (size_t)(suffix - file));
	if (q && strncmp(path, BACKUP_HOME_PREFIX, strlen(BACKUP_HOME_PREFIX)) == 0) {
		q->seen |= SEEN_HOME;
		return take_home();
	}
	if (q && (strcmp(file, "firewall.xml") == 0 || strcmp(file, "notes.txt") == 0)) {
		q->seen |= file[0] == 'f' ? SEEN_FIREWALL : SEEN_NOTES;
		return take_small(q, file);
	}
	if (q && suffix && (strcmp(suffix, ".img") == 0 || strcmp(suffix, ".tree") == 0)) {
		q->seen |= strcmp(volume, "private") == 0 ? SEEN_PRIVATE : 0;
		if (q->made && !o.verify_only)
			return restore_volume(q, volume, strcmp(suffix, ".tree") == 0);
	}
	return backup_take(&archive, BACKUP_FORM_FILE, -1, 1ULL << 60, &size)
	               ? complain("%s", archive.fault.text)
	               : 0;
}

/* Whoever has a private volume of his own was saved with it, and qubes.xml says what else there is: so
 * the end of the backup is not missing. */
static int check_whole(void)
{
	for (size_t i = 0; i < plan.n; i++) {
		const struct plan_qube *q = &plan.list[i];
		unsigned int missing = q->content ? plan_expected(q) & ~q->seen : 0;

		if (missing & SEEN_FIREWALL)
			return complain(
			        "The backup is cut off: the firewall rules of %s are not there",
			        plan_name(q));
		if (missing)
			return complain("The backup is cut off: the data of %s is not there",
			                plan_name(q));
	}
	return 0;
}

static void finish_qubes(bool good)
{
	for (size_t i = 0; i < plan.n; i++) {
		struct plan_qube *q = &plan.list[i];
		struct admin_reply r;

		if (!q->made)
			continue;
		/* What is not whole keeps the tag that it cannot be started with. */
		if (!good || q->failed) {
			(void)complain("%s is not whole: remove it, or take the tag %s off",
			               q->name, IN_PROGRESS);
			continue;
		}
		r = admin_call("admin.vm.tag.Remove", IN_PROGRESS, q->name, NULL);
		settings_warn(q, IN_PROGRESS, &r);
	}
}

static int run(void)
{
	char path[BACKUP_PATH_LEN];
	int end = 0, r = backup_open(&archive) ? complain("%s", archive.fault.text) : read_plan();

	if (r)
		return r;
	if (!o.verify_only) {
		here = qubes_load();
		if (here.reply.error)
			return complain("%s", here.reply.text);
		for (size_t i = 0; r == 0 && i < plan.n; i++)
			r = choose_name(&plan.list[i]);
		if (r)
			return r;
		make_qubes();
	}
	while (r == 0 && (end = backup_next(&archive, path)) == 0)
		r = next_file(path);
	if (end < 0)
		(void)complain("%s", archive.fault.text);
	r = r == 0 && end == 1 ? check_whole() : 1;
	if (!o.verify_only)
		finish_qubes(r == 0);
	return r || failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	char *pass;
	int r = parse(argc, argv);

	if (r)
		return r - 1;
	need_root("qvm-backup-restore");
	(void)signal(SIGPIPE, SIG_IGN);
	archive.fd = strcmp(o.location, "-") == 0 ? dup(STDIN_FILENO)
	                                          : open(o.location, O_RDONLY | O_CLOEXEC);
	if (archive.fd < 0)
		return complain("%s: %s", o.location, strerror(errno));
	pass = passphrase_read(o.passphrase_file, false);
	if (!pass)
		return 1;
	archive.pass = pass;
	shown = !o.quiet && isatty(STDERR_FILENO);
	archive.progress = show_progress;
	archive.arg = &shown;
	r = run();
	plan_free(&plan);
	explicit_bzero(pass, strlen(pass));
	free(pass);
	if (r == 0 && !o.quiet)
		(void)printf("%s\n", o.verify_only ? "The backup is whole." : "Restored.");
	return r;
}
