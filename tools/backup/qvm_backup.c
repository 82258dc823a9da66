/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-backup - the data of qubes to one encrypted archive
 *
 * Asks the admin service what there is and where it lies; reads the volumes itself, for it runs in dom0 as a
 * user who may. See services/backup for the format.
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
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/need_root.h"
#include "services/storage/tar_tree.h"
#include "tools/backup/common.h"
#include "tools/client/qubes.h"

#define QUBES_MAX 10000U

struct options {
	const char *passphrase_file, *location;
	const char *exclude[256];
	size_t n_exclude;
	bool compress, yes, quiet;
	unsigned int log_n;
	char **names;
	int n_names;
};

static struct options o = {.compress = true};
static struct backup_archive archive;
static bool shown = true;

static void usage(FILE *to)
{
	(void)fputs("usage: qvm-backup [--exclude QUBE]... [--passphrase-file FILE] "
	            "[--no-compress] [--yes]\n"
	            "                  [--quiet] FILE-OR-FOLDER [QUBE...]\n"
	            "Saves the data of qubes, those that are to be included in backups or those "
	            "named.\n",
	            to);
}

/* 0: go on; else exit status + 1. */
static int parse(int argc, char **argv)
{
	static const struct option list[] = {{"exclude", required_argument, NULL, 'x'},
	                                     {"passphrase-file", required_argument, NULL, 'p'},
	                                     {"compress", no_argument, NULL, 'z'},
	                                     {"no-compress", no_argument, NULL, 'n'},
	                                     {"scrypt-cost", required_argument, NULL, 'c'},
	                                     {"yes", no_argument, NULL, 'y'},
	                                     {"quiet", no_argument, NULL, 'q'},
	                                     {"help", no_argument, NULL, 'h'},
	                                     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "x:p:zyqh", list, NULL)) != -1) {
		if (c == 'x' && o.n_exclude < ARRAY_LEN(o.exclude))
			o.exclude[o.n_exclude++] = optarg;
		else if (c == 'p')
			o.passphrase_file = optarg;
		else if (c == 'z' || c == 'n')
			o.compress = c == 'z';
		else if (c == 'c')
			o.log_n = (unsigned int)strtoul(optarg, NULL, 10) % 32;
		else if (c == 'y')
			o.yes = true;
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

static bool named(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool wanted(struct qube *q)
{
	const char *include;

	if (strcmp(q->class, "AdminVM") == 0 || named(q->name, o.exclude, o.n_exclude))
		return false;
	if (o.n_names > 0)
		return named(q->name, (const char *const *)o.names, (size_t)o.n_names);
	include = qube_property(q, "include_in_backups");
	return include && strcmp(include, "True") == 0;
}

/* Text of an element or of an attribute; what XML has no way to say becomes "_". */
static void put_xml(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			(void)fputs("&amp;", to);
		else if (c == '<')
			(void)fputs("&lt;", to);
		else if (c == '>')
			(void)fputs("&gt;", to);
		else if (c == '"')
			(void)fputs("&quot;", to);
		else
			(void)fputc(c < ' ' && c != '\n' && c != '\t' ? '_' : c, to);
	}
}

static void put_feature(FILE *to, const char *name, const char *value)
{
	(void)fputs("<feature name=\"", to);
	put_xml(to, name);
	(void)fputs("\">", to);
	put_xml(to, value);
	(void)fputs("</feature>", to);
}

/* fn for each line of a reply. */
static void each_line(const char *text, void (*fn)(FILE *to, struct qube *q, const char *line),
                      FILE *to, struct qube *q)
{
	char line[256];

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			fn(to, q, line);
		}
		text += len + (text[len] == '\n');
	}
}

static void one_feature(FILE *to, struct qube *q, const char *name)
{
	struct admin_reply value = admin_call("admin.vm.feature.Get", name, q->name, NULL);

	/* Lists of preloaded disposables are of this system's present only. */
	if (!value.error &&
	    (strncmp(name, "preload-dispvm", 14) != 0 || strcmp(name, "preload-dispvm-max") == 0) &&
	    strncmp(name, "backup-", 7) != 0)
		put_feature(to, name, value.content);
}

static void one_tag(FILE *to, struct qube *q UNUSED, const char *name)
{
	(void)fputs("<tag name=\"", to);
	put_xml(to, name);
	(void)fputs("\"/>", to);
}

static bool keeps_data(const char *info)
{
	return strstr(info, "\nsave_on_stop=True\n") != NULL;
}

static void one_volume(FILE *to, struct qube *q, const char *name)
{
	static const char *const keys[] = {"pool", "vid",          "revisions_to_keep",
	                                   "rw",   "save_on_stop", "snap_on_start",
	                                   "size", "source"};
	struct admin_reply info = admin_call("admin.vm.volume.Info", name, q->name, NULL);

	if (info.error)
		return;
	(void)fputs("<volume name=\"", to);
	put_xml(to, name);
	(void)fputc('"', to);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char key[40], value[600];
		const char *at;
		size_t len;

		(void)snprintf(key, sizeof(key), "%s=", keys[i]);
		at = strncmp(info.content, key, strlen(key)) == 0 ? info.content : NULL;
		if (!at) {
			(void)snprintf(key, sizeof(key), "\n%s=", keys[i]);
			at = strstr(info.content, key);
		}
		if (!at)
			continue;
		at += strlen(key);
		len = strcspn(at, "\n");
		if (len == 0 || len >= sizeof(value))
			continue;
		memcpy(value, at, len);
		value[len] = '\0';
		(void)fprintf(to, " %s=\"", keys[i]);
		put_xml(to, value);
		(void)fputc('"', to);
	}
	(void)fputs("/>", to);
}

static void put_properties(FILE *to, struct qube *q)
{
	struct admin_reply reply = admin_call("admin.vm.property.GetAll", NULL, q->name, NULL);
	struct properties all = properties_decode(reply.content);

	(void)fputs("<properties>", to);
	for (size_t i = 0; i < all.n; i++) {
		const struct property *p = &all.items[i];

		if (p->is_default && strcmp(p->name, "name") != 0 && strcmp(p->name, "qid") != 0)
			continue;
		(void)fprintf(to, "<property name=\"%s\">", p->name);
		put_xml(to, p->value);
		(void)fputs("</property>", to);
	}
	(void)fputs("</properties>", to);
}

static void put_domain(FILE *to, struct qube *q)
{
	const char *qid = qube_property(q, "qid");
	struct admin_reply r;
	char path[64];

	(void)fprintf(to, "<domain id=\"domain-%s\" class=\"%s\">", qid ? qid : "0", q->class);
	put_properties(to, q);
	(void)fputs("<features>", to);
	r = admin_call("admin.vm.feature.List", NULL, q->name, NULL);
	each_line(r.content, one_feature, to, q);
	(void)snprintf(path, sizeof(path), "vm%s/", qid ? qid : "0");
	put_feature(to, "backup-content", "1");
	put_feature(to, "backup-path", path);
	(void)fputs("</features><tags>", to);
	r = admin_call("admin.vm.tag.List", NULL, q->name, NULL);
	each_line(r.content, one_tag, to, q);
	(void)fputs("</tags><devices/><volume-config>", to);
	r = admin_call("admin.vm.volume.List", NULL, q->name, NULL);
	each_line(r.content, one_volume, to, q);
	(void)fputs("</volume-config></domain>\n", to);
}

static int add_store(struct qube **list, size_t n)
{
	OWNED_FD int fd = memfd_create("qubes.xml", MFD_CLOEXEC);
	FILE *to = fd < 0 ? NULL : fdopen(dup(fd), "w");
	bool bad;

	if (!to)
		return complain("memory: %s", strerror(errno));
	(void)fputs("<?xml version='1.0' "
	            "encoding='UTF-8'?>\n<qubes><labels/><pools/><properties/><domains>\n",
	            to);
	for (size_t i = 0; i < n; i++)
		put_domain(to, list[i]);
	(void)fputs("</domains></qubes>\n", to);
	bad = ferror(to);
	if (fclose(to) || bad)
		return complain("memory: %s", strerror(errno));
	return backup_add(&archive, "qubes.xml", BACKUP_FORM_FILE, fd) ? complain("%s", archive.fault.text) : 0;
}

/* A tree as a tar, in a file that has no name. */
static int pack_tree(const char *path)
{
	OWNED_FD int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	OWNED_FD int out = open(P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct tar_fault fault;

	if (top < 0 || out < 0) {
		(void)complain("%s: %s", top < 0 ? path : P_tmpdir, strerror(errno));
		return -1;
	}
	if (tar_pack(top, out, "./", &fault, NULL, NULL)) {
		(void)complain("%s: %s", path, fault.text);
		return -1;
	}
	return fd_take(&out);
}

/* "file PATH" or "dir PATH". */
static int add_exported(const char *exported, const char *qid, const char *volume)
{
	bool tree = strncmp(exported, "dir ", 4) == 0;
	const char *path = outer_path(strchr(exported, ' ') ? strchr(exported, ' ') + 1 : "");
	char name[BACKUP_PATH_LEN];
	OWNED_FD int fd = -1;

	if (!path)
		return 1;
	fd = tree ? pack_tree(path) : open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && !tree)
		return complain("%s: %s", path, strerror(errno));
	if (fd < 0)
		return 1;
	(void)snprintf(name, sizeof(name), "vm%s/%s.%s", qid, volume, tree ? "tree" : "img");
	return backup_add(&archive, name, BACKUP_FORM_FILE, fd) ? complain("%s", archive.fault.text) : 0;
}

static int add_volume(struct qube *q, const char *volume)
{
	const char *qid = qube_property(q, "qid");
	struct admin_reply r = admin_call("admin.vm.volume.Info", volume, q->name, NULL), end;
	int result;

	if (r.error)
		return complain("%s: %s", q->name, r.text);
	if (!keeps_data(r.content))
		return 0;
	r = admin_call_internal("internal.vm.volume.ExportBegin", volume, q->name, NULL);
	if (r.error)
		return complain("%s: its volume %s cannot be saved: %s", q->name, volume, r.text);
	/* Nothing that this system has as a root, which stays where it is. */
	result = r.len == 0 ? 0 : add_exported(r.content, qid ? qid : "0", volume);
	end = admin_call_internal("internal.vm.volume.ExportEnd", volume, q->name, NULL);
	if (end.error)
		(void)complain("%s: %s", q->name, end.text);
	return result;
}

static int add_qube(struct qube *q)
{
	static const char *const volumes[] = {"root", "private"};
	struct admin_reply list = admin_call("admin.vm.volume.List", NULL, q->name, NULL);

	if (!o.quiet)
		(void)fprintf(stderr, "%s\n", q->name);
	for (size_t i = 0; i < ARRAY_LEN(volumes); i++) {
		if (!list.error && strstr(list.content, volumes[i]) && add_volume(q, volumes[i]))
			return 1;
	}
	return 0;
}

/* The archive has its name when it is whole. */
static int make(const char *path, struct qube **list, size_t n)
{
	char temporary[4096];
	int r;

	if (snprintf(temporary, sizeof(temporary), "%s.partial", path) >= (int)sizeof(temporary))
		return complain("%s: the path is too long", path);
	archive.fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (archive.fd < 0)
		return complain("%s: %s", temporary, strerror(errno));
	r = backup_start(&archive) ? complain("%s", archive.fault.text) : add_store(list, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_qube(list[i]);
	if (r == 0 && (backup_end(&archive) || fsync(archive.fd)))
		r = complain("%s: %s", temporary, strerror(errno));
	if (r == 0 && rename(temporary, path))
		r = complain("%s: %s", path, strerror(errno));
	archive.fd = fd_close(archive.fd);
	if (r)
		(void)unlink(temporary);
	return r;
}

static void stamp(struct qube **list, size_t n)
{
	char now[32];

	(void)snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
	for (size_t i = 0; i < n; i++) {
		struct admin_reply r =
		        admin_call("admin.vm.property.Set", "backup_timestamp", list[i]->name, now);

		if (r.error)
			(void)complain("%s: %s", list[i]->name, r.text);
	}
}

static bool agreed(struct qube **list, size_t n, const char *path)
{
	char answer[8] = "";

	(void)printf("To %s:\n", path);
	for (size_t i = 0; i < n; i++)
		(void)printf("  %s (%s)%s\n", list[i]->name, list[i]->class,
		             strcmp(list[i]->state, "Halted") == 0
		                     ? ""
		                     : ", running: its state before the start");
	if (o.yes)
		return true;
	(void)printf("Do you want to proceed? [y/N] ");
	(void)fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int main(int argc, char **argv)
{
	static struct qube *list[QUBES_MAX];
	char path[4096], when[32];
	struct qubes qubes;
	struct stat st;
	time_t now = time(NULL);
	struct tm tm;
	size_t n = 0;
	char *pass;
	int r = parse(argc, argv);

	if (r || !o.location)
		return r ? r - 1 : 2;
	need_root("qvm-backup");
	(void)signal(SIGPIPE, SIG_IGN);
	qubes = qubes_load();
	if (qubes.reply.error)
		return complain("%s", qubes.reply.text);
	for (int i = 0; i < o.n_names; i++) {
		if (!qubes_find(&qubes, o.names[i]))
			return complain("There is no qube %s", o.names[i]);
	}
	for (size_t i = 0; i < qubes.n && n < QUBES_MAX; i++) {
		if (wanted(&qubes.items[i]))
			list[n++] = &qubes.items[i];
	}
	if (n == 0)
		return complain("There is nothing to save");
	if (!localtime_r(&now, &tm) || strftime(when, sizeof(when), "%Y-%m-%dT%H%M%S", &tm) == 0)
		return complain("There is no time");
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the options were checked: there is a place */
	r = stat(o.location, &st) == 0 && S_ISDIR(st.st_mode)
	            ? snprintf(path, sizeof(path), "%s/qubes-%s", o.location, when)
	            : snprintf(path, sizeof(path), "%s", o.location);
	if (r >= (int)sizeof(path))
		return complain("%s: the path is too long", o.location);
	if (!agreed(list, n, path))
		return complain("Nothing was saved");
	pass = passphrase_read(o.passphrase_file, true);
	if (!pass)
		return 1;
	archive.pass = pass;
	archive.log_n = o.log_n;
	archive.header.compressed = o.compress;
	shown = !o.quiet && isatty(STDERR_FILENO);
	archive.progress = show_progress;
	archive.arg = &shown;
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &tm);
	(void)snprintf(archive.header.id, sizeof(archive.header.id), "%s-%d", when, (int)getpid());
	r = make(path, list, n);
	if (r == 0)
		stamp(list, n);
	explicit_bzero(pass, strlen(pass));
	free(pass);
	if (r == 0 && !o.quiet)
		(void)printf("Saved to %s\n", path);
	return r;
}
