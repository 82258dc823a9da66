/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.ReceiveUpdates: the qube that dom0 updates through, and has asked (update_request.h), sends packages,
 * once. They are received as plain
 * files into a folder that nobody reads, each is checked (package.h), and only if all of them are
 * good do they appear, all at once, in /var/lib/qubes/updates/rpm. Of a batch with one bad file
 * nothing stays but the reasons, in /var/lib/qubes/updates/errors.
 * Source: doc/protocol/services.md, ReceiveUpdates. What dom0 does with them: doc/updates.md.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/services/updates.h"
#include "services/dom0/package.h"
#include "services/dom0/qubesd_ask.h"
#include "services/dom0/update_request.h"

#define UPDATES     "/var/lib/qubes/updates"
#define KEYS_FOLDER "/etc/pki/rpm-gpg"
#define INCOMING    ".incoming.UNTRUSTED"
#define CHECKED     ".checked"
#define ACCEPTED    "rpm"
#define LIST        "packages" /* what was accepted, a line each */
#define LIST_NEW    ".packages"
#define ERRORS      "errors"
#define REASONS_MAX 20 /* of one batch; chosen */
#define UNPACKER    "/usr/libexec/qubes/qfile-dom0-unpacker"

struct batch {
	int updates; /* folder; locked while we work */
	int incoming;
	int checked;
	FILE *list;
	struct package_keys keys;
	unsigned int n_good;
	unsigned int n_bad;
};

/* To the log of dom0, and into the file in which qubes-dom0-update looks. */
static PRINTF_LIKE(2, 3) void refuse(struct batch *b, const char *format, ...)
{
	char text[512];
	OWNED_FD int fd = -1;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	b->n_bad++;
	if (n < 0 || b->n_bad > REASONS_MAX)
		return;
	LOG("%s", text);
	n = (int)strlen(text);
	text[n++] = '\n';
	fd = openat(b->updates, ERRORS, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
	            0640);
	if (fd < 0 || fd_write_all(fd, text, (size_t)n))
		LOG_ERRNO("%s/%s", UPDATES, ERRORS);
}

/* A folder of files only, with them. One that is not there is gone. */
static int remove_folder(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		(void)fd_close(fd);
		return errno == ENOENT ? 0 : -1;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(fd, entry->d_name, 0);
	}
	(void)closedir(dir);
	return unlinkat(parent, name, AT_REMOVEDIR);
}

static int make_folder(int parent, const char *name)
{
	if (mkdirat(parent, name, 0700) == 0)
		return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return -1;
}

/* What an earlier transfer left is gone before the first byte of this one. */
static int wipe(struct batch *b)
{
	static const char *const folders[] = {ACCEPTED, "repodata", INCOMING, CHECKED};
	static const char *const files[] = {ERRORS, LIST, LIST_NEW};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (unlinkat(b->updates, files[i], 0) && errno != ENOENT)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (remove_folder(b->updates, folders[i]))
			return -1;
	}
	return 0;
}

static int open_updates(struct batch *b)
{
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), UPDATES, NULL))
		return -1;
	if (mkdir(path, 0770) && errno != EEXIST)
		return -1;
	b->updates = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->updates < 0 ? -1 : flock(b->updates, LOCK_EX | LOCK_NB);
}

/* Our input and output are the stream and its answer. Its status, 255 if it died. */
static int receive_files(void)
{
	char program[PATH_MAX];
	char folder[PATH_MAX];
	char uid[16];
	const char *const argv[] = {"qfile-dom0-unpacker", uid, folder, "--only-regular-files",
	                            NULL};
	const char *const places[] = {"../../tools/qfile-dom0-unpacker",
	                              "../qubes/qfile-dom0-unpacker", NULL};
	pid_t pid;
	int status;

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned int)getuid());
	if (path_make(folder, sizeof(folder), UPDATES "/" INCOMING, NULL))
		return 255;
	if (path_program(program, sizeof(program), places))
		(void)snprintf(program, sizeof(program), "%s", UNPACKER);
	errno = posix_spawn(&pid, program, NULL, NULL, (char *const *)(uintptr_t)argv, environ);
	if (errno) {
		LOG_ERRNO("%s", program);
		return 255;
	}
	/* It alone holds the stream: its end must be seen when it is gone. */
	(void)fd_close(STDIN_FILENO);
	(void)fd_close(STDOUT_FILENO);
	if (fd_open_stdio())
		return 255;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 255;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void check_file(struct batch *b, const char *untrusted_name)
{
	char why[PACKAGE_WHY_MAX];
	struct rpm_package package;
	OWNED_FD int in = -1;
	OWNED_FD int out = -1;
	struct stat st;

	if (!updates_package_name_legal(untrusted_name)) {
		refuse(b, "a file that is not named like a package was sent");
		return;
	}
	/* Of letters that may stand anywhere, from here on. */
	in = openat(b->incoming, untrusted_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) || !S_ISREG(st.st_mode)) {
		refuse(b, "%s: not a regular file that can be read", untrusted_name);
		return;
	}
	out = openat(b->checked, untrusted_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (out < 0) {
		refuse(b, "%s: %m", untrusted_name);
		return;
	}
	if (package_check(&b->keys, in, out, &package, why)) {
		refuse(b, "%s: %s", untrusted_name, why);
		return;
	}
	if (fsync(out) || unlinkat(b->incoming, untrusted_name, 0) ||
	    fprintf(b->list, "%s %u %s %s %s %s\n", package.name, package.epoch, package.version,
	            package.release, package.arch, untrusted_name) < 0) {
		refuse(b, "%s: %m", untrusted_name);
		return;
	}
	b->n_good++;
}

static void check_all(struct batch *b)
{
	int fd = fcntl(b->incoming, F_DUPFD_CLOEXEC, 10);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		refuse(b, "%s: %m", INCOMING);
		(void)fd_close(fd);
		return;
	}
	/* The rest of a batch that is lost is checked too, up to a number: all reasons at once. */
	while (b->n_bad < REASONS_MAX && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			check_file(b, entry->d_name);
	}
	(void)closedir(dir);
}

/* For the group that administers: that of the folder of updates. */
static int give_to_group(const struct batch *b)
{
	struct stat st;

	if (fstat(b->updates, &st) || fchown(b->checked, (uid_t)-1, st.st_gid))
		return -1;
	return fchmod(b->checked, 0775);
}

/* All at once, and on the disk when it is told. */
static int publish(struct batch *b)
{
	if (give_to_group(b) || fflush(b->list) || fsync(fileno(b->list)) || fsync(b->checked) ||
	    renameat(b->updates, LIST_NEW, b->updates, LIST) ||
	    renameat(b->updates, CHECKED, b->updates, ACCEPTED))
		return -1;
	return fsync(b->updates);
}

static int receive_batch(struct batch *b)
{
	char keys[PATH_MAX];
	int status;
	int fd;

	if (path_make(keys, sizeof(keys), KEYS_FOLDER, NULL) || package_keys_load(&b->keys, keys)) {
		refuse(b, "no key of packages is known: nothing is taken");
		return 1;
	}
	b->incoming = make_folder(b->updates, INCOMING);
	b->checked = make_folder(b->updates, CHECKED);
	fd = openat(b->updates, LIST_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	b->list = fd < 0 ? NULL : fdopen(fd, "w");
	if (b->incoming < 0 || b->checked < 0 || !b->list) {
		refuse(b, "%s: %m", UPDATES);
		return 1;
	}
	status = receive_files();
	if (status)
		refuse(b, "the transfer failed with error %d%s%s", status,
		       status == 255 ? "" : ": ", status == 255 ? "" : strerror(status));
	else
		check_all(b);
	if (b->n_bad == 0 && publish(b))
		refuse(b, "%s: %m", UPDATES);
	return b->n_bad ? 1 : 0;
}

/* The property that names who may send. */
static int is_update_qube(const char *caller)
{
	const struct qubesd_question question = {.socket = QUBESD_SOCKET,
	                                         .method = "admin.property.Get+updatevm",
	                                         .source = "dom0",
	                                         .dest = "dom0"};
	const char *name;
	char *data;
	size_t len;
	bool same;

	if (qubesd_ask(&question, &data, &len))
		return -1;
	/* default=True type=vm NAME */
	name = strstr(data, " type=vm ");
	same = name && strcmp(name + strlen(" type=vm "), caller) == 0;
	free(data);
	if (same)
		return 0;
	LOG("%s is not the qube that dom0 updates through (property updatevm)", caller);
	return -1;
}

int main(int argc, char **argv)
{
	const char *caller = getenv("QREXEC_REMOTE_DOMAIN");
	struct batch b = {.updates = -1, .incoming = -1, .checked = -1};
	int status;

	(void)argv;
	log_init("qubes.ReceiveUpdates");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(0007);
	if (!caller || (argc > 1 && argv[1][0])) {
		LOG("a service without an argument: QREXEC_REMOTE_DOMAIN is %s",
		    caller ? caller : "not set");
		return 1;
	}
	if (is_update_qube(caller))
		return 1;
	if (open_updates(&b)) {
		LOG_ERRNO(errno == EWOULDBLOCK ? "%s: another transfer is under way" : "%s",
		          UPDATES);
		return 1;
	}
	if (update_request_take(caller))
		return 1;
	if (wipe(&b)) {
		LOG_ERRNO("%s: what was there cannot be removed", UPDATES);
		return 1;
	}
	status = receive_batch(&b);
	if (b.list)
		(void)fclose(b.list);
	(void)remove_folder(b.updates, INCOMING);
	if (status) {
		(void)remove_folder(b.updates, CHECKED);
		(void)remove_folder(b.updates, ACCEPTED);
		(void)unlinkat(b.updates, LIST_NEW, 0);
		(void)unlinkat(b.updates, LIST, 0);
	} else {
		LOG("%u packages of %s accepted", b.n_good, caller);
	}
	package_keys_fini(&b.keys);
	return status;
}
