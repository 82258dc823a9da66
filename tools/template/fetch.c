/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packages, checked. What was checked is a file without a name in the cache's folder: nobody can put another in its
 * place between the check and its use, and a kill leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/qvm/child.h"
#include "tools/template/template.h"

#define PROGRESS_US 300000 /* chosen */

static struct {
	const char *what;
	int fd;
	uint64_t size;
} progress;

/* In a signal handler: only calls that may be made there. */
static void progress_show(int signal_number)
{
	static const char digits[] = "0123456789";
	int saved = errno;
	char text[8] = ": 000 %\r";
	struct stat st;
	uint64_t percent;

	(void)signal_number;
	if (fstat(progress.fd, &st) == 0 && progress.size > 0) {
		percent = MIN((uint64_t)st.st_size * 100 / progress.size, (uint64_t)100);
		text[2] = digits[percent / 100];
		text[3] = digits[percent / 10 % 10];
		text[4] = digits[percent % 10];
		(void)!write(STDERR_FILENO, progress.what, strlen(progress.what));
		(void)!write(STDERR_FILENO, text, sizeof(text));
	}
	errno = saved;
}

static void timer(int us)
{
	const struct itimerval when = {{0, us}, {0, us}};

	(void)setitimer(ITIMER_REAL, &when, NULL);
}

void progress_begin(const char *what, int fd, uint64_t size)
{
	const struct sigaction action = {.sa_handler = progress_show, .sa_flags = SA_RESTART};

	if (!isatty(STDERR_FILENO) || size == 0 || sigaction(SIGALRM, &action, NULL))
		return;
	progress.what = what;
	progress.fd = fd;
	progress.size = size;
	timer(PROGRESS_US);
}

void progress_end(bool done)
{
	if (!progress.what)
		return;
	timer(0);
	/* What was checked is not as long as what came. */
	if (done)
		progress.size = 1;
	progress_show(0);
	progress.what = NULL;
	err_printf("\n");
}

static int refuse(const struct fetched *f, const char *why)
{
	err_printf("%s: refused: %s\n", f->spec, why);
	return -1;
}

/* Any package of a template, by these keys. */
static int check(const struct template_options *options, const struct package_keys *keys, int in,
                 uint64_t size, struct fetched *f)
{
	struct rpm_package *package = arena_alloc(sizeof(*package));
	char why[PACKAGE_WHY_MAX] = "";
	int failed;

	f->fd = open(options->cache, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (f->fd < 0) {
		err_printf("%s: %m\n", options->cache);
		return -1;
	}
	if (!options->quiet)
		progress_begin(f->spec, f->fd, size);
	failed = package_check(keys, in, f->fd, package, why);
	progress_end(!failed);
	f->package = package;
	if (!failed && (strncmp(package->name, TEMPLATE_PREFIX, strlen(TEMPLATE_PREFIX)) != 0 ||
	                strlen(package->name) > strlen(TEMPLATE_PREFIX) + TEMPLATE_SHORT_MAX)) {
		failed = -1;
		(void)snprintf(why, sizeof(why), "it is no template");
	}
	if (!failed && fsync(f->fd) == 0)
		return 0;
	f->fd = fd_close(f->fd);
	return refuse(f, failed ? why : "it cannot be written");
}

int fetch_file(const struct template_options *options, const char *path, bool unsigned_too,
               struct fetched *ret)
{
	struct package_keys keys = {0};
	char folder[PATH_MAX];
	OWNED_FD int in = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	*ret = (struct fetched){.fd = -1, .reponame = "@commandline", .spec = path};
	if (in < 0 || fstat(in, &st)) {
		err_printf("%s: %m\n", path);
		return -1;
	}
	if (options->keyring) {
		(void)snprintf(folder, sizeof(folder), "%s", options->keyring);
	} else if (path_make(folder, sizeof(folder), TEMPLATE_REPOS, "keys")) {
		return -1;
	}
	keys.unsigned_too = unsigned_too;
	if (!unsigned_too && package_keys_load(&keys, folder))
		return -1;
	r = check(options, &keys, in, (uint64_t)st.st_size, ret);
	package_keys_fini(&keys);
	return r;
}

/* Exactly the one key of its repository. */
static int keys_of(const struct template_options *options, const char *id,
                   struct package_keys *keys)
{
	const struct repo *repo = repos_find(options->repos, id);
	char path[PATH_MAX];
	const char *slash = repo ? strrchr(repo->key, '/') : NULL;

	*keys = (struct package_keys){0};
	if (!slash) {
		err_printf("%s: no repository of ours, or one without a key\n", id);
		return -1;
	}
	if (options->keyring)
		(void)snprintf(path, sizeof(path), "%s%s", options->keyring, slash);
	else if (path_make(path, sizeof(path), repo->key, NULL))
		return -1;
	keys->paths[0] = strdup(path);
	keys->n = keys->paths[0] != NULL;
	return keys->n ? 0 : -1;
}

/* What is inside must be what was chosen from the list. */
static bool is_same(const struct rpm_package *p, const struct template_record *r)
{
	return strcmp(p->name + strlen(TEMPLATE_PREFIX), r->name) == 0 &&
	       p->epoch == strtoull(r->epoch, NULL, 10) && strcmp(p->version, r->version) == 0 &&
	       strcmp(p->release, r->release) == 0;
}

static const char *file_name(const char *name, const char *version, const char *release)
{
	return arena_printf("%s-%s-%s.noarch.rpm", name, version, release);
}

static int fetch_once(const struct template_options *options, const struct template_record *record,
                      const struct package_keys *keys, struct fetched *ret)
{
	const char *spec = arena_printf("%s-%s-%s", record->name, record->version, record->release);
	const char *cached =
	        arena_printf("%s/%s", options->cache,
	                     file_name(arena_printf(TEMPLATE_PREFIX "%s", record->name),
	                               record->version, record->release));
	pid_t pid = 0;
	int in = open(cached, O_RDONLY | O_CLOEXEC), r;

	*ret = (struct fetched){.fd = -1, .reponame = record->repository, .spec = spec};
	if (in < 0)
		in = template_call("qubes.TemplateDownload", options, spec, &pid);
	if (in < 0)
		return -1;
	r = check(options, keys, in, record->size, ret);
	/* Whoever goes on writing is told. */
	fd_close(in);
	if (pid > 0)
		(void)child_status(pid);
	if (r == 0 && !is_same(ret->package, record)) {
		r = refuse(ret, arena_printf("it is %s-%s-%s", ret->package->name,
		                             ret->package->version, ret->package->release));
		ret->fd = fd_close(ret->fd);
	}
	/* What lies in the cache is not asked for again if it is no good. */
	if (r && pid == 0)
		(void)unlink(cached);
	return r;
}

int fetch_record(const struct template_options *options, const struct template_record *record,
                 bool unsigned_too, unsigned int retries, struct fetched *ret)
{
	struct package_keys keys = {0};
	int r = -1;

	if (!unsigned_too && keys_of(options, record->repository, &keys))
		return -1;
	keys.unsigned_too = unsigned_too;
	for (unsigned int i = 0; r && i < MAX(retries, 1U); i++) {
		if (i > 0)
			err_printf("%s: once more\n", ret->spec);
		r = fetch_once(options, record, &keys, ret);
	}
	package_keys_fini(&keys);
	if (r == 0 && options->keep_cache && !fetch_keep(ret, options->cache))
		return -1;
	return r;
}

const char *fetch_keep(const struct fetched *fetched, const char *folder)
{
	const struct rpm_package *p = fetched->package;
	const char *path =
	        arena_printf("%s/%s", folder, file_name(p->name, p->version, p->release));
	const char *temporary = arena_printf("%s.%d", path, (int)getpid());
	const char *from = arena_printf("/proc/self/fd/%d", fetched->fd);
	OWNED_FD int to = -1;
	char data[8192];
	ssize_t n;
	off_t at = 0;

	/* In the same file system it only gets its name. */
	if (linkat(AT_FDCWD, from, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0 &&
	    rename(temporary, path) == 0)
		return path;
	(void)unlink(temporary);
	to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	while (to >= 0 && (n = pread(fetched->fd, data, sizeof(data), at)) > 0 &&
	       fd_write_all(to, data, (size_t)n) == 0)
		at += n;
	if (to >= 0 && n == 0 && fsync(to) == 0 && rename(temporary, path) == 0)
		return path;
	err_printf("%s: %m\n", path);
	(void)unlink(temporary);
	return NULL;
}
