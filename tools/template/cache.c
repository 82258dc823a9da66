/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder of the cache: packages that are kept, a lock, and the name of the qube that is being made. That name is
 * written before the qube exists and taken away when it is whole, so that of an installation that was cut off at any
 * moment the next one finds what is to be taken away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/untrusted/name.h"
#include "tools/template/template.h"

#define NAME_FILE    "unfinished"
#define LOCK_STEP_MS 100
#define LOCK_TRIES   100 /* chosen */

static const char *name_path(const struct template_options *options)
{
	return arena_printf("%s/" NAME_FILE, options->cache);
}

static int write_name(const char *path, const char *name)
{
	const char *temporary = arena_printf("%s.new", path);
	OWNED_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 || fd_write_all(fd, name, strlen(name)) || fsync(fd) ||
	                       rename(temporary, path)
	               ? -1
	               : 0;
}

int unfinished_begin(const struct template_options *options, const char *qube)
{
	if (write_name(name_path(options), qube) == 0)
		return 0;
	err_printf("%s: %m\n", name_path(options));
	return -1;
}

void unfinished_end(const struct template_options *options)
{
	(void)unlink(name_path(options));
}

static const char *read_name(const struct template_options *options)
{
	const char *path = name_path(options);
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char name[64];
	ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name));

	if (n <= 0 || untrusted_qube_name_check(name, (size_t)n) != UNTRUSTED_QUBE_NAME_OK)
		return NULL;
	return arena_copy(name, (size_t)n);
}

/* A qube with the mark, or one that was not even given that: it has no features, and nothing in its root volume. */
static bool is_unfinished(const char *qube)
{
	struct admin_reply mark =
	        admin_call("admin.vm.feature.Get", TEMPLATE_UNFINISHED, qube, NULL);
	struct admin_reply name = admin_call("admin.vm.feature.Get", "template-name", qube, NULL);
	struct admin_reply all, root;
	const char *usage;

	if (!mark.error)
		return admin_error_is(&name, ADMIN_ERROR_NO_FEATURE);
	all = admin_call("admin.vm.feature.List", NULL, qube, NULL);
	root = admin_call("admin.vm.volume.Info", "root", qube, NULL);
	usage = root.error ? NULL : lines_field(root.content, "usage");
	return !all.error && !*all.content && usage && strcmp(usage, "0") == 0;
}

static void take_away(const struct template_options *options, const char *name)
{
	struct qubes qubes = qubes_or_fail(&template_program);
	const struct qube *qube = qubes_find(&qubes, name);
	struct admin_reply reply;

	if (qube && strcmp(qube->class, "TemplateVM") == 0 && is_unfinished(name)) {
		(void)admin_call("admin.vm.Kill", NULL, name, NULL); /* it does not run, mostly */
		reply = admin_call("admin.vm.Remove", NULL, name, NULL);
		if (reply.error)
			fail_reply(&template_program, &reply);
		err_printf("%s: an installation that was cut off is taken away\n", name);
	}
	unfinished_end(options);
}

/* The children of one that was killed hold its lock until they notice. */
static int lock_soon(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -1;
		(void)poll(NULL, 0, LOCK_STEP_MS);
	}
	errno = EWOULDBLOCK;
	return -1;
}

void cache_lock(const struct template_options *options)
{
	/* Held until the process ends. */
	const char *path = arena_printf("%s/lock", options->cache);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const char *name;

	if (fd < 0 || lock_soon(fd))
		fail(&template_program, "%s: %s", options->cache,
		     fd >= 0 && errno == EWOULDBLOCK ? "another qvm-template is at work"
		                                     : strerror(errno));
	name = read_name(options);
	if (name)
		take_away(options, name);
}

static const struct arg plain_table[] = {ARGS_COMMON, {ARG_END}};

int template_clean(const struct template_options *options, int argc, const char *const *argv)
{
	static const struct args_program program = {"qvm-template clean",
	                                            "Remove packages that were kept.", NULL,
	                                            plain_table};
	struct dirent *entry;
	int status = 0;
	DIR *dir;

	(void)args_parse(&program, argc, argv);
	cache_lock(options);
	dir = opendir(options->cache);
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		/* Also one that had not got its name yet. */
		if (len < 4 || !strstr(entry->d_name, ".rpm"))
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0)) {
			err_printf("%s/%s: %m\n", options->cache, entry->d_name);
			status = 1;
		}
	}
	if (dir)
		(void)closedir(dir);
	return status;
}
