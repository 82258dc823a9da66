/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the maker's child to bubblewrap to the qube's first process: the root, the outer user, the
 * command line. Everything here runs in the child and ends with exec or with exit and a line on
 * descriptor 2, which start.c hands to whoever asked for the qube.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "hypervisor/local/mounts.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define SOCK_FD      3 /* where init and bubblewrap find what is theirs */
#define FILTER_FD    4
#define ARGS_MAX     96
#define ENV_MAX      24
#define SMALL_MIB    16U    /* the smallest of a qube's memory file systems; chosen */
#define PROCESSES    "4096" /* processes and threads of a qube; chosen */
#define DATA_MIN_KIB (512U * 1024U)

struct words {
	char *word[ARGS_MAX];
	size_t n;
};

/* No word is left out: what does not fit, or for which there is no memory, ends the child. */
static void add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct words *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (w->n + 1 >= ARGS_MAX || vasprintf(&w->word[w->n], fmt, args) < 0) {
		LOG("the command line of bubblewrap");
		_exit(1);
	}
	va_end(args);
	w->n++;
}

static void add_all(struct words *w, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(w, "%s", list[i]);
}

/* A file system in memory, of at most this part of what the qube may have. */
static void add_tmpfs(struct words *w, const struct local_qube *q, unsigned int part,
                      const char *at)
{
	uint64_t bytes = MAX(q->memory_max * 1024 / part, (uint64_t)SMALL_MIB << 20);

	add(w, "--size");
	add(w, "%llu", (unsigned long long)bytes);
	add(w, "--tmpfs");
	add(w, "%s", at);
}

/* What a file may grow to: as much as the private volume may hold. 0: it was not said. */
static uint64_t file_size(const struct monitor_create *create)
{
	for (size_t i = 0; i < MONITOR_VOLUMES_MAX; i++)
		if (strcmp(create->volumes[i].role, "private") == 0)
			return create->volumes[i].size;
	return 0;
}

static void make_args(struct words *w, const struct local *local, const struct local_qube *q,
                      const struct monitor_create *create)
{
	static const char *const spaces[] = {
	        "--unshare-user",
	        "--unshare-ipc",
	        "--unshare-pid",
	        "--unshare-net",
	        "--unshare-uts",
	        "--uid",
	        "1000",
	        "--gid",
	        "1000",
	        "--new-session",
	        "--unshare-cgroup-try",
	        "--as-pid-1",
	        "--hostname",
	};
	static const char *const kernel[] = {"--proc", "/proc", "--dev", "/dev"};

	add(w, "%s", local->bwrap);
	add_all(w, spaces, ARRAY_LEN(spaces));
	add(w, "%s", q->name);
	add(w, "--bind");
	add(w, ".");
	add(w, "/");
	add_all(w, kernel, ARRAY_LEN(kernel));
	add_tmpfs(w, q, 2, "/dev/shm");
	add_tmpfs(w, q, 2, "/tmp");
	add_tmpfs(w, q, 4, "/var/tmp");
	add_tmpfs(w, q, 4, "/var/log");
	add_tmpfs(w, q, 4, "/root");
	add(w, "--seccomp");
	add(w, "%d", FILTER_FD);
	add(w, "--chdir");
	add(w, "/");
	add(w, "/usr/lib/qubes/skerry-qube-init");
	add(w, "--toolstack-fd=%d", SOCK_FD);
	add(w, "--processes=" PROCESSES);
	add(w, "--file-size=%llu", (unsigned long long)file_size(create));
	add(w, "--data=%llu", (unsigned long long)MAX(q->memory_max, DATA_MIN_KIB) * 1024);
}

static void make_env(struct words *w, const struct local_qube *q, const struct monitor_create *c)
{
	static const char *const fixed[] = {
	        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	        "SHELL=/bin/bash",
	        "LANG=C.UTF-8",
	        "XDG_RUNTIME_DIR=/run/user/1000",
	        "VCHAN_TRANSPORT=memfd",
	        "VCHAN_BROKER=/run/vchan/broker.sock",
	};

	add_all(w, fixed, ARRAY_LEN(fixed));
	add(w, "VCHAN_DOMAIN=%u", q->domid);
	add(w, "HOME=/home/%s", c->default_user);
	add(w, "USER=%s", c->default_user);
	add(w, "LOGNAME=%s", c->default_user);
}

/* 0 … 4 are as the new programs expect them; all others are close-on-exec. */
static int place_descriptors(const struct local *local, int sock)
{
	char path[48];
	/* Of its own: bubblewrap reads from where the description stands. */
	int filter, moved;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", local->filter);
	filter = open(path, O_RDONLY | O_CLOEXEC);
	moved = fcntl(sock, F_DUPFD_CLOEXEC, FILTER_FD + 1);
	if (filter >= 0 && filter <= FILTER_FD)
		filter = fcntl(filter, F_DUPFD_CLOEXEC, FILTER_FD + 1);
	if (filter < 0 || moved < 0 || dup2(moved, SOCK_FD) < 0 || dup2(filter, FILTER_FD) < 0)
		return -1;
	return 0;
}

/* Each qube has an outer user of its own where there is somebody who may give it one. */
static int become(const struct local *local, const struct local_qube *q)
{
	uid_t id = MONITOR_OWNER_UID_BASE + q->owner;

	if (!local->root)
		return 0;
	return setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id) ? -1 : 0;
}

static int reset(void)
{
	const struct rlimit core = {0, 0};
	sigset_t none;

	(void)sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(022);
	if (setsid() < 0 && errno != EPERM)
		return -1;
	return sigprocmask(SIG_SETMASK, &none, NULL) || setrlimit(RLIMIT_CORE, &core) ? -1 : 0;
}

/* What there must be is looked for before anything is made, so that the answer names it. */
static const char *wrong_volume(const struct monitor_volume *v, const char *role)
{
	static char text[MONITOR_TEXT_LEN];
	const char *why = NULL;
	struct stat st;

	if (v->kind == MONITOR_VOLUME_HOST && strcmp(role, "root") == 0)
		return NULL;
	if (v->kind == MONITOR_VOLUME_NONE)
		why = "is missing";
	else if (v->kind != MONITOR_VOLUME_DIR)
		why = "is no folder, and this ground takes nothing else: choose a pool of folders";
	else if (stat(v->path, &st) || !S_ISDIR(st.st_mode))
		why = "has no folder on disk";
	if (!why)
		return NULL;
	(void)snprintf(text, sizeof(text), "the %s volume %s", role, why);
	return text;
}

/* Of the other volumes (volatile, kernel) this ground has no use. */
static const char *missing(const struct monitor_create *c)
{
	static const char *const roles[] = {"root", "private"};
	static const struct monitor_volume none;

	for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
		const struct monitor_volume *v = &none;
		const char *why;

		for (size_t i = 0; i < MONITOR_VOLUMES_MAX; i++)
			if (strcmp(c->volumes[i].role, roles[r]) == 0)
				v = &c->volumes[i];
		why = wrong_volume(v, roles[r]);
		if (why)
			return why;
	}
	return NULL;
}

NORETURN void local_sandbox_exec(const struct local *local, const struct local_qube *q,
                                 const struct monitor_create *create, int sock)
{
	static struct words args, env;
	const char *text = missing(create);

	if (text) {
		LOG("%s", text);
		_exit(LOCAL_EXIT_VOLUME);
	}
	if (reset() || mounts_private()) {
		LOG_ERRNO("a mount namespace");
		_exit(1);
	}
	if (local_root_make(local, q, create))
		_exit(1);
	make_args(&args, local, q, create);
	make_env(&env, q, create);
	if (place_descriptors(local, sock) || become(local, q)) {
		LOG_ERRNO("what the qube's first process is started with");
		_exit(1);
	}
	(void)execve(local->bwrap, args.word, env.word);
	LOG_ERRNO("%s", local->bwrap);
	_exit(1);
}
