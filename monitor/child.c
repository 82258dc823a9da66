/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child's half of a start: from a request of the monitor, whose rights are fewer, to a row of
 * processes.def, and to that program. Here is decided what a monitor that was taken over can have run:
 * the programs of the table, each as its row says, with no option but the row's.
 */
#include "monitor/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "process/user.h"

#define SAFE_FD  32 /* descriptors of a child are moved above those that it is to find */
#define ARGV_MAX 24

/* Upwards first, so that no number that is still to be copied is overwritten. */
static int place_descriptors(const int fds[PROCESS_FDS_MAX])
{
	int from[PROCESS_FDS_MAX];
	int keep[PROCESS_FDS_MAX];
	size_t n_keep = 0;

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		from[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
		if (fds[i] >= 0 && from[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		if (from[i] < 0)
			continue;
		if (dup2(from[i], (int)i) < 0)
			return -1;
		if (i >= 3)
			keep[n_keep++] = (int)i;
	}
	fd_close_from(3, keep, n_keep);
	return 0;
}

static int set_limits(const struct process_rule *rule)
{
	struct rlimit files = {rule->files, rule->files};
	struct rlimit now;
	const struct rlimit core = {0, 0};

	/* Not above what there is: only root may. */
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < files.rlim_max)
		files.rlim_cur = files.rlim_max = now.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) ||
	       (!(rule->flags & (PER_QUBE | PER_CALL)) && setrlimit(RLIMIT_CORE, &core));
}

/* The folder of the broker's sockets moves with the root, so it is no constant of the table. */
static void channels_dir(char *word, size_t len)
{
	char dir[PATH_MAX];

	if (path_make(dir, sizeof(dir), "/run/skerry/channels", NULL))
		_exit(1);
	(void)snprintf(word, len, "--dir=%s", dir);
}

/* What a request says, once it is checked. Texts lie in the request. */
struct start {
	const struct process_rule *rule;
	enum process_id id;
	const char *args[PROCESS_WORDS_MAX];
	size_t n_args;
	const char *env[PROCESS_WORDS_MAX];
	size_t n_env;
};

/* The first n words; the rest of the text; NULL: there are not as many. */
static const char *split(const char *at, const char *end, const char **words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *zero = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (!zero)
			return NULL;
		words[i] = at;
		at = zero + 1;
	}
	return at;
}

/* No option but the one that the row names, at the first place; no call of a service in dom0. */
static bool args_legal(const struct start *s)
{
	const char *option = s->rule->option;

	if (s->rule->flags & PER_SYSTEM)
		return s->n_args == 0;
	if (option && (s->n_args == 0 || strncmp(s->args[0], option, strlen(option)) != 0))
		return false;
	for (size_t i = option ? 1 : 0; i < s->n_args; i++)
		if (s->args[i][0] == '-' || s->args[i][0] == '@')
			return false;
	return s->id != PROCESS_CALL ||
	       (s->n_args == 3 && strcmp(s->args[1], "dom0") != 0 && !strpbrk(s->args[1], "@:"));
}

static bool env_legal(const struct start *s)
{
	static const char *const names[] = {"VCHAN_TRANSPORT=", "VCHAN_DOMAIN=", "VCHAN_BROKER=",
	                                    "QREXEC_STARTUP_TIMEOUT=", "QREXEC_STARTUP_NOWAIT="};

	for (size_t i = 0; i < s->n_env; i++) {
		bool known = false;

		for (size_t n = 0; n < ARRAY_LEN(names); n++)
			known = known || strncmp(s->env[i], names[n], strlen(names[n])) == 0;
		if (!known)
			return false;
	}
	return true;
}

static int check(const struct process_request *untrusted, size_t len, struct start *s)
{
	const char *at = untrusted->text;
	const char *end = (const char *)untrusted + len;

	if (len < offsetof(struct process_request, text) || len > sizeof(*untrusted) ||
	    untrusted->id == PROCESS_NONE || untrusted->id >= PROCESS_MAX ||
	    untrusted->n_args > PROCESS_WORDS_MAX || untrusted->n_env > PROCESS_WORDS_MAX)
		return -1;
	s->id = (enum process_id)untrusted->id;
	s->rule = &process_rules[s->id];
	s->n_args = untrusted->n_args;
	s->n_env = untrusted->n_env;
	at = split(at, end, s->args, s->n_args);
	at = at ? split(at, end, s->env, s->n_env) : NULL;
	return at == end && args_legal(s) && env_legal(s) ? 0 : -1;
}

/* In the order of their numbers; the first one is where the word to go on comes. */
static int sort_descriptors(uint32_t untrusted_has, const int *fds, size_t n_fds,
                            int sorted[PROCESS_FDS_MAX], int null_fd)
{
	size_t next = 1;

	for (size_t i = 0; i < PROCESS_FDS_MAX; i++) {
		sorted[i] = i < 3 ? null_fd : -1;
		if (!(untrusted_has & 1U << i))
			continue;
		if (next >= n_fds)
			return -1;
		sorted[i] = fds[next++];
	}
	if (sorted[2] == null_fd)
		sorted[2] = sorted[1];
	return next == n_fds ? 0 : -1;
}

NORETURN static void run(const struct start *s, const char *ground, int fds[PROCESS_FDS_MAX])
{
	static char dir_word[PATH_MAX + 8], path[PATH_MAX];
	char *argv[ARGV_MAX] = {path};
	size_t n = 1;
	sigset_t none;

	if (process_find(s->id, ground, path)) {
		LOG_ERRNO("%s", s->rule->program);
		_exit(111);
	}
	for (size_t i = 0; i < PROCESS_ARGS_MAX && s->rule->args[i]; i++)
		argv[n++] = strdup(s->rule->args[i]);
	if (s->id == PROCESS_CHANNELS) {
		channels_dir(dir_word, sizeof(dir_word));
		argv[n++] = dir_word;
	}
	for (size_t i = 0; i < s->n_args; i++)
		argv[n++] = strdup(s->args[i]);
	for (size_t i = 0; i < s->n_env; i++)
		if (putenv(strdup(s->env[i])))
			_exit(111);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(s->id == PROCESS_KEEPER || s->id == PROCESS_DATABASE ? 0007 : 0022);
	(void)setsid();
	if (place_descriptors(fds) || set_limits(s->rule) ||
	    (s->rule->user && !(s->rule->flags & BECOMES) && user_enter(s->rule->user))) {
		LOG_ERRNO("%s cannot be given what it needs", s->rule->program);
		_exit(111);
	}
	(void)execv(path, argv);
	LOG_ERRNO("%s", path);
	_exit(111);
}

/* The end of the system. */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	/* Not across to another file system, and not the folder itself. */
	if (ftw->level > 0 && remove(path))
		LOG_ERRNO("%s", path);
	return 0;
}

/* Of a QubesDB that had to be killed. Dom0's own is not the system's. */
static void clear_databases(void)
{
	static const char begin[] = "qubesdb.", end[] = ".sock", dom0[] = "qubesdb.dom0.";
	char path[PATH_MAX];
	DIR *dir = path_make(path, sizeof(path), "/run/qubes", NULL) ? NULL : opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len > sizeof(end) && strncmp(entry->d_name, begin, sizeof(begin) - 1) == 0 &&
		    strncmp(entry->d_name, dom0, sizeof(dom0) - 1) != 0 &&
		    strcmp(entry->d_name + len - (sizeof(end) - 1), end) == 0 &&
		    unlinkat(dirfd(dir), entry->d_name, 0) && errno != ENOENT)
			LOG_ERRNO("%s", entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
}

/* After an orderly end nothing of the system is left below /run/skerry, and no door that nobody opens. */
static void clear_run(void)
{
	static const char *const doors[] = {
	        "/run/qubesd.sock",       "/run/qubesd.internal.sock",    "/run/qubesd.misc.sock",
	        "/run/qubes/policy.sock", "/run/qubes/policy.calls.sock", "/run/qubes/backup.sock"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(doors); i++)
		if (path_make(path, sizeof(path), doors[i], NULL) == 0 && unlink(path) &&
		    errno != ENOENT)
			LOG_ERRNO("%s", path);

	clear_databases();
	if (path_make(path, sizeof(path), "/run/skerry", NULL) == 0)
		(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void process_child(void *arg, const void *untrusted_request, size_t len, const int *fds,
                   size_t n_fds)
{
	const struct process_request *untrusted = untrusted_request;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int sorted[PROCESS_FDS_MAX];
	struct start s = {0};
	uint8_t byte;

	if (len == sizeof(untrusted->id) && untrusted->id == PROCESS_CLEAR && n_fds == 0) {
		clear_run();
		_exit(0);
	}
	if (check(untrusted, len, &s) || null_fd < 0 || n_fds == 0 ||
	    sort_descriptors(untrusted->has, fds, n_fds, sorted, null_fd)) {
		LOG("a start that the table does not allow is refused");
		_exit(111);
	}
	/* Nothing begins before its record is written; should the monitor die before, it never does. */
	if (read(fds[0], &byte, 1) != 1)
		_exit(0);
	run(&s, arg, sorted);
}
