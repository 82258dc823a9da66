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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/need_root.h"
#include "services/backup/xml.h"
#include "tools/backup/common.h"
#include "tools/backup/restore_plan.h"
#include "tools/client/qubes.h"

#define IN_PROGRESS "backup-restore-in-progress"

struct options {
	const char *passphrase_file, *location;
	bool verify_only, rename_conflicting, skip_conflicting, quiet;
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
	(void)fputs("usage: qvm-backup-restore [--verify-only] [--rename-conflicting | "
	            "--skip-conflicting]\n"
	            "                          [--passphrase-file FILE] [--quiet] FILE [QUBE...]\n"
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

/* As it is called here, if it was restored as another one. */
static const char *renamed(const char *name)
{
	for (size_t i = 0; i < plan.n; i++) {
		const char *old = pairs_get(&plan.list[i].properties, "name");

		if (old && strcmp(old, name) == 0 && plan.list[i].name[0])
			return plan.list[i].name;
	}
	return name;
}

static void warn(const struct plan_qube *q, const char *what, const struct admin_reply *r)
{
	if (r->error)
		(void)complain("%s: %s: %s", q->name, what, r->text);
}

static bool left_out(const char *name)
{
	static const char *const names[] = {
	        "name", "qid", "uuid",       "label",  "template",         "klass",
	        "icon", "xid", "start_time", "dispid", "installed_by_rpm", "backup_timestamp"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void put_settings(struct plan_qube *q)
{
	for (size_t i = 0; i < q->properties.n; i++) {
		const struct pair *p = &q->properties.list[i];

		if (!left_out(p->name)) {
			struct admin_reply r = admin_call("admin.vm.property.Set", p->name, q->name,
			                                  renamed(p->value));

			warn(q, p->name, &r);
		}
	}
	for (size_t i = 0; i < q->features.n; i++) {
		const struct pair *p = &q->features.list[i];

		if (strncmp(p->name, "backup-", 7) != 0) {
			struct admin_reply r =
			        admin_call("admin.vm.feature.Set", p->name, q->name, p->value);

			warn(q, p->name, &r);
		}
	}
	for (size_t i = 0; i < q->tags.n; i++) {
		const char *tag = q->tags.list[i].name;

		if (strncmp(tag, "created-by-", 11) != 0 && strncmp(tag, "guivm-", 6) != 0 &&
		    strncmp(tag, "audiovm-", 8) != 0 && strcmp(tag, IN_PROGRESS) != 0) {
			struct admin_reply r = admin_call("admin.vm.tag.Set", tag, q->name, NULL);

			warn(q, tag, &r);
		}
	}
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
	if (template && !qubes_find(&here, renamed(template)) &&
	    strcmp(renamed(template), template) == 0) {
		(void)complain("%s: its template %s is not here: the default one is taken", q->name,
		               template);
		template = NULL;
	}
	r = admin_call(method, template ? renamed(template) : NULL, "dom0", payload);
	if (r.error) {
		(void)complain("%s cannot be made: %s", q->name, r.text);
		q->failed = true;
		failures++;
		return;
	}
	q->made = true;
	/* Nobody starts it before it is whole. */
	r = admin_call("admin.vm.tag.Set", IN_PROGRESS, q->name, NULL);
	warn(q, IN_PROGRESS, &r);
	put_settings(q);
	if (!o.quiet)
		(void)printf("%s\n", q->name);
}

/* Those without a template first, then those whose template is one of these, then their disposables. */
static void make_qubes(void)
{
	static const char *const order[] = {"TemplateVM", "StandaloneVM", "AppVM", "DispVM",
	                                    "RemoteVM"};

	for (size_t c = 0; c < ARRAY_LEN(order); c++) {
		for (size_t i = 0; i < plan.n; i++) {
			if (plan.list[i].name[0] && strcmp(plan.list[i].class, order[c]) == 0)
				make_qube(&plan.list[i]);
		}
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

static int next_file(const char *path)
{
	const char *file = "", *suffix;
	struct plan_qube *q = owner_of(path, &file);
	char volume[32] = "";
	uint64_t size;

	suffix = strrchr(file, '.');
	if (suffix && (size_t)(suffix - file) < sizeof(volume))
		memcpy(volume, file, (size_t)(suffix - file));
	if (q && suffix && (strcmp(suffix, ".img") == 0 || strcmp(suffix, ".tree") == 0)) {
		q->seen[strcmp(volume, "private") == 0] = true;
		if (q->made && !o.verify_only)
			return restore_volume(q, volume, strcmp(suffix, ".tree") == 0);
	}
	return backup_take(&archive, BACKUP_FORM_FILE, -1, 1ULL << 60, &size) ? complain("%s", archive.fault.text)
	                                                    : 0;
}

/* Whoever has a private volume of his own was saved with it: the end of the backup is not missing. */
static int check_whole(void)
{
	for (size_t i = 0; i < plan.n; i++) {
		const struct plan_qube *q = &plan.list[i];
		const char *name = pairs_get(&q->properties, "name");
		bool keeps = strcmp(q->class, "AppVM") == 0 ||
		             strcmp(q->class, "TemplateVM") == 0 ||
		             strcmp(q->class, "StandaloneVM") == 0;

		if (q->content && keeps && !q->seen[1])
			return complain("The backup is cut off: the data of %s is not there",
			                name ? name : "a qube");
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
		warn(q, IN_PROGRESS, &r);
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
