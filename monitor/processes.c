/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a row of processes.def to a running program: the monitor's half. The starter, which was forked
 * before the monitor gave up its rights, makes the process; that one waits for a byte that comes when
 * its record is written: should the monitor die in between, it ends, so nothing runs unknown.
 */
#include "monitor/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

const struct process_rule process_rules[PROCESS_MAX] = {
#define PROCESS(name, ...) [PROCESS_##name] = {__VA_ARGS__},
#include "monitor/processes.def"
#undef PROCESS
};

static struct starter starter = STARTER_EMPTY;
static const char *the_ground;

int processes_open(const char *ground)
{
	the_ground = ground;
	if (starter_open(&starter, process_child, NULL, (void *)(uintptr_t)ground) == 0)
		return 0;
	LOG_ERRNO("a starter of programs");
	return -1;
}

int processes_watch(struct loop *loop, void (*fn)(void *arg, uint32_t events), void *arg)
{
	return starter_watch(&starter, loop, fn, arg);
}

void processes_close(struct loop *loop)
{
	starter_close(&starter, loop);
}

void processes_clear(void)
{
	const uint32_t id = PROCESS_CLEAR;
	pid_t pid = starter_run(&starter, &id, sizeof(id), NULL, 0);

	if (pid < 0)
		LOG_ERRNO("the folders of the system are not emptied");
	else
		(void)waitpid(pid, NULL, 0);
}

int process_find(enum process_id id, const char *ground, char path[PATH_MAX])
{
	const struct process_rule *rule = &process_rules[id];
	char name[64];
	char beside[PATH_MAX], libexec[PATH_MAX], sbin[PATH_MAX], bin[PATH_MAX], build[PATH_MAX];
	const char *const places[] = {beside, libexec, sbin, bin, build, NULL};

	if (id == PROCESS_TOOLSTACK)
		(void)snprintf(name, sizeof(name), "skerry-ground-%s", ground);
	else
		(void)snprintf(name, sizeof(name), "%s", rule->program);
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

	if (path_make(path, sizeof(path), "/var/log/qubes", name))
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static int put_words(struct process_request *r, size_t *len, const char *const *words, uint32_t *n)
{
	for (; words && words[*n]; (*n)++) {
		size_t size = strlen(words[*n]) + 1;

		if (*n >= PROCESS_WORDS_MAX || size > sizeof(r->text) - *len) {
			errno = E2BIG;
			return -1;
		}
		memcpy(r->text + *len, words[*n], size);
		*len += size;
	}
	return 0;
}

static pid_t ask(const struct process_start *start, int go, int log_fd)
{
	static struct process_request r;
	const int given[PROCESS_FDS_MAX] = {start->stdin_fd, log_fd,        -1,
	                                    start->fds[0],   start->fds[1], start->fds[2],
	                                    start->fds[3]};
	int fds[PROCESS_FDS_MAX + 1] = {go};
	size_t n_fds = 1, len = 0;

	r = (struct process_request){.id = start->id};
	if (put_words(&r, &len, start->args, &r.n_args) ||
	    put_words(&r, &len, start->env, &r.n_env))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		if (given[i] < 0)
			continue;
		r.has |= 1U << i;
		fds[n_fds++] = given[i];
	}
	return starter_run(&starter, &r, offsetof(struct process_request, text) + len, fds, n_fds);
}

static int write_record(int records, struct process_start *start, const struct proc *proc)
{
	if (start->record.kind == 0)
		return 0;
	start->record.pid = (uint32_t)proc->pid;
	start->record.start = proc->start;
	return record_write(records, &start->record);
}

static int spawn(struct loop *loop, int records, struct process_start *start, struct proc *proc,
                 void (*fn)(void *arg, int wait_status), void *arg)
{
	OWNED_FD int log_fd = start->log ? open_log(start->log) : -1;
	OWNED_FD int go_read = -1;
	OWNED_FD int go_write = -1;
	int go[2];
	uint8_t byte = 0;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC))
		return -1;
	go_read = go[0];
	go_write = go[1];
	pid = ask(start, go_read, start->log && log_fd < 0 ? STDERR_FILENO : log_fd);
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
	LOG_ERRNO("the record of %s", process_rules[start->id].program);
	(void)fd_close(fd_take(&go_write));
	proc_forget(proc);
	(void)waitpid(pid, NULL, 0);
	return -1;
}

int process_start(struct loop *loop, int records, struct process_start *start, struct proc *proc,
                  void (*fn)(void *arg, int wait_status), void *arg)
{
	const char *name = process_rules[start->id].program;
	char path[PATH_MAX];

	if (process_find(start->id, the_ground, path)) {
		LOG_ERRNO("%s is not installed", name);
		return -1;
	}
	if (spawn(loop, records, start, proc, fn, arg) == 0)
		return 0;
	LOG_ERRNO("%s cannot be started", path);
	return -1;
}
