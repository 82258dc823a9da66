/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a row of processes.def to a running program. The child waits for a byte that comes when its
 * record is written: should the monitor die in between, the child ends, so nothing runs unknown.
 */
#include "monitor/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define SAFE_FD  32 /* descriptors of a child are moved above those that it is to find */
#define ARGV_MAX 24

const struct process_rule process_rules[PROCESS_MAX] = {
#define PROCESS(name, ...) [PROCESS_##name] = {__VA_ARGS__},
#include "monitor/processes.def"
#undef PROCESS
};

static int find_program(const struct process_rule *rule, const char *name, char path[PATH_MAX])
{
	char beside[PATH_MAX], libexec[PATH_MAX], sbin[PATH_MAX], bin[PATH_MAX], build[PATH_MAX];
	const char *const places[] = {beside, libexec, sbin, bin, build, NULL};

	(void)snprintf(beside, sizeof(beside), "%s", name);
	(void)snprintf(libexec, sizeof(libexec), "../libexec/skerry/%s", name);
	(void)snprintf(sbin, sizeof(sbin), "../sbin/%s", name);
	(void)snprintf(bin, sizeof(bin), "../bin/%s", name);
	(void)snprintf(build, sizeof(build), "../%s/%s", rule->folder, name);
	return path_program(path, PATH_MAX, places);
}

/* Appended to, never emptied: the lines before a crash are wanted. */
static int open_log(const char *name)
{
	char path[PATH_MAX];

	if (!name)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (path_make(path, sizeof(path), "/var/log/qubes", name))
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
}

/* The child. */

/* 1: there is no such user; the process stays root, and confines itself. */
static int become(const char *name)
{
	FILE *f;
	struct passwd *pw;

	if (!name || geteuid() != 0)
		return 0;
	f = fopen("/etc/passwd", "re");
	while (f && (pw = fgetpwent(f)))
		if (strcmp(pw->pw_name, name) == 0)
			break;
	if (!f || !pw) {
		LOG("there is no user %s: running as root, confined", name);
		if (f)
			(void)fclose(f);
		return 1;
	}
	(void)fclose(f);
	return setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	                       setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid)
	               ? -1
	               : 0;
}

/* Upwards first, so that no number that is still to be copied is overwritten. */
static int place_descriptors(const struct process_start *start, int stdin_fd, int log_fd)
{
	int from[PROCESS_FDS_MAX + 3];
	int keep[PROCESS_FDS_MAX];
	size_t n_keep = 0;

	from[0] = stdin_fd;
	from[1] = from[2] = log_fd;
	memcpy(from + 3, start->fds, sizeof(start->fds));
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		if (from[i] < 0)
			continue;
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, SAFE_FD);
		if (from[i] < 0)
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

static int set_environment(const char *const *env)
{
	for (; env && *env; env++) {
		const char *sign = strchr(*env, '=');
		char name[64];

		if (!sign || (size_t)(sign - *env) >= sizeof(name))
			return -1;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(sign - *env), *env);
		if (setenv(name, sign + 1, 1))
			return -1;
	}
	return 0;
}

/* The folder of the broker's sockets moves with the root, so it is no constant of the table. */
static void channels_dir(char *word, size_t len)
{
	char dir[PATH_MAX];

	if (path_make(dir, sizeof(dir), "/run/skerry/channels", NULL))
		_exit(1);
	(void)snprintf(word, len, "--dir=%s", dir);
}

NORETURN static void run(const struct process_start *start, char *path, int go, int log_fd)
{
	const struct process_rule *rule = &process_rules[start->id];
	OWNED_FD int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	static char dir_word[PATH_MAX + 8];
	char *argv[ARGV_MAX] = {path};
	size_t n = 1;
	sigset_t none;
	uint8_t byte;

	if (read(go, &byte, 1) != 1)
		_exit(0);
	for (size_t i = 0; i < PROCESS_ARGS_MAX && rule->args[i]; i++)
		argv[n++] = strdup(rule->args[i]);
	if (start->id == PROCESS_CHANNELS) {
		channels_dir(dir_word, sizeof(dir_word));
		argv[n++] = dir_word;
	}
	for (size_t i = 0; start->args && start->args[i] && n + 1 < ARGV_MAX; i++)
		argv[n++] = strdup(start->args[i]);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(start->id == PROCESS_KEEPER || start->id == PROCESS_DATABASE ? 0007 : 0022);
	(void)setsid();
	if (place_descriptors(start, start->stdin_fd < 0 ? null_fd : start->stdin_fd, log_fd) ||
	    set_limits(rule) || set_environment(start->env) || become(rule->user) < 0) {
		LOG_ERRNO("%s cannot be given what it needs", rule->program);
		_exit(111);
	}
	(void)execv(path, argv);
	LOG_ERRNO("%s", path);
	_exit(111);
}

/* The parent. */

static int write_record(int records, struct process_start *start, const struct proc *proc)
{
	if (start->record.kind == 0)
		return 0;
	start->record.pid = (uint32_t)proc->pid;
	start->record.start = proc->start;
	return record_write(records, &start->record);
}

static int spawn(struct loop *loop, int records, struct process_start *start, char *path,
                 struct proc *proc, void (*fn)(void *arg, int wait_status), void *arg)
{
	OWNED_FD int log_fd = open_log(start->log);
	OWNED_FD int go_read = -1;
	OWNED_FD int go_write = -1;
	int go[2];
	uint8_t byte = 0;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC))
		return -1;
	go_read = go[0];
	go_write = go[1];
	pid = fork();
	if (pid == 0) {
		(void)fd_close(fd_take(&go_write));
		run(start, path, go_read, log_fd < 0 ? STDERR_FILENO : log_fd);
	}
	if (pid < 0)
		return -1;
	if (proc_watch(loop, proc, pid, fn, arg)) {
		/* It ends by itself, for the byte does not come. */
		(void)fd_close(fd_take(&go_write));
		(void)waitpid(pid, NULL, 0);
		return -1;
	}
	if (write_record(records, start, proc) == 0 && write(go_write, &byte, 1) == 1)
		return 0;
	LOG_ERRNO("the record of %s", path);
	(void)fd_close(fd_take(&go_write));
	proc_forget(proc);
	(void)waitpid(pid, NULL, 0);
	return -1;
}

int process_start(struct loop *loop, int records, struct process_start *start, struct proc *proc,
                  void (*fn)(void *arg, int wait_status), void *arg)
{
	const struct process_rule *rule = &process_rules[start->id];
	const char *name = start->program ? start->program : rule->program;
	char path[PATH_MAX];

	if (find_program(rule, name, path)) {
		LOG_ERRNO("%s is not installed", name);
		return -1;
	}
	if (spawn(loop, records, start, path, proc, fn, arg) == 0)
		return 0;
	LOG_ERRNO("%s cannot be started", path);
	return -1;
}
