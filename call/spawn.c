/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

extern char **environ;

/* Environment. */

#define PREFIX       "QREXEC"
#define KEPT         "QREXEC_SERVICE_PATH="
#define SET_MAX      8 /* variables that we set */
#define PID_TEXT_LEN 16

struct variable {
	const char *name;
	const char *value;
};

static bool is_removed(const char *entry)
{
	return strncmp(entry, PREFIX, strlen(PREFIX)) == 0 &&
	       strncmp(entry, KEPT, strlen(KEPT)) != 0;
}

static size_t choose(struct variable set[SET_MAX], const struct service_command *command,
                     const char *remote, const char *pid)
{
	size_t n = 0;

	if (*pid)
		set[n++] = (struct variable){"QREXEC_AGENT_PID", pid};
	if (!command->is_rpc) {
		if (remote)
			set[n++] = (struct variable){"QREXEC_REMOTE_DOMAIN", remote};
		return n;
	}
	set[n++] = (struct variable){"QREXEC_SERVICE_FULL_NAME", command->full_name};
	set[n++] = (struct variable){"QREXEC_REMOTE_DOMAIN", command->source};
	if (command->argument)
		set[n++] = (struct variable){"QREXEC_SERVICE_ARGUMENT", command->argument};
	set[n++] = (struct variable){"QREXEC_REQUESTED_TARGET_TYPE",
	                             command->target_type ? command->target_type : ""};
	if (command->target_type && strcmp(command->target_type, "name") == 0)
		set[n++] = (struct variable){"QREXEC_REQUESTED_TARGET", command->target};
	else if (command->target_type)
		set[n++] = (struct variable){"QREXEC_REQUESTED_TARGET_KEYWORD", command->target};
	return n;
}

char **spawn_environment(const struct service_command *command, const char *remote, pid_t agent_pid)
{
	struct variable set[SET_MAX];
	char pid[PID_TEXT_LEN] = "";
	size_t n_set;
	size_t n_kept = 0;
	size_t text_len = 0;
	size_t i = 0;
	char **env;
	char *text;

	if (agent_pid > 0)
		(void)snprintf(pid, sizeof(pid), "%d", (int)agent_pid);
	n_set = choose(set, command, remote, pid);
	for (size_t k = 0; k < n_set; k++)
		text_len += strlen(set[k].name) + strlen(set[k].value) + 2;
	for (char **e = environ; e && *e; e++)
		n_kept += is_removed(*e) ? 0 : 1;
	env = malloc((n_kept + n_set + 1) * sizeof(char *) + text_len);
	if (!env)
		return NULL;
	for (char **e = environ; e && *e; e++) {
		if (!is_removed(*e))
			env[i++] = *e;
	}
	text = (char *)(env + n_kept + n_set + 1);
	for (size_t k = 0; k < n_set; k++) {
		env[i++] = text;
		text = stpcpy(stpcpy(stpcpy(text, set[k].name), "="), set[k].value) + 1;
	}
	env[i] = NULL;
	return env;
}

/* Descriptors. */

/*
 * What a service may write before it waits for its caller, in bytes. The kernel's default holds three
 * messages of the largest kind, so a service with much to say is woken for each; a pipe's other end
 * can be widened when that shows (call/data_buffer.c), the service's end of a socket cannot.
 */
#define OUTPUT_BUFFER (512 * 1024)

static int open_pair(int *ours, int *theirs, int buffer)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	/* Beyond the system's limit it is less, which works too. */
	if (buffer > 0)
		(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	*ours = fds[0];
	*theirs = fds[1];
	return 0;
}

static int open_each(const struct spawn_config *config, int child[3], struct spawned *out)
{
	int err[2];

	if (config->stdio == SPAWN_PAIRS) {
		if (open_pair(&out->in_fd, &child[0], 0) ||
		    open_pair(&out->out_fd, &child[1], OUTPUT_BUFFER))
			return -1;
	} else {
		child[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		child[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (child[0] < 0 || child[1] < 0)
			return -1;
	}
	if (!config->pipe_err)
		return 0;
	if (pipe2(err, O_CLOEXEC) < 0)
		return -1;
	out->err_fd = err[0];
	child[2] = err[1];
	return config->err_uid ? fchown(err[1], config->err_uid, config->err_gid) : 0;
}

int spawn_open_stdio(const struct spawn_config *config, int child[3], struct spawned *out)
{
	int saved;

	*out = (struct spawned){.pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1};
	child[0] = child[1] = child[2] = -1;
	if (open_each(config, child, out) == 0)
		return 0;
	saved = errno;
	spawn_close_stdio(child, out);
	return saved;
}

void spawn_close_stdio(int child[3], struct spawned *out)
{
	for (int i = 0; i < 3; i++)
		child[i] = fd_close(child[i]);
	out->in_fd = fd_close(out->in_fd);
	out->out_fd = fd_close(out->out_fd);
	out->err_fd = fd_close(out->err_fd);
}

/* Processes. */

static struct rlimit descriptors;       /* of the programs, if raised */
static struct rlimit descriptors_of_us; /* ours */
static bool raised;

void spawn_raise_descriptors(void)
{
	if (raised || getrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return;
	descriptors_of_us = descriptors;
	descriptors_of_us.rlim_cur = descriptors.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &descriptors_of_us) < 0)
		LOG_ERRNO("raising the limit of descriptors");
	else
		raised = true;
}

/* A limit is inherited, and posix_spawn() cannot set one: ours is lowered for that moment. What is
 * open above it stays open. */
static int spawn_limited(const struct spawn_config *config,
                         const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
                         pid_t *ret_pid)
{
	int r;

	if (raised && setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return errno;
	r = posix_spawn(ret_pid, config->path, actions, attr, config->argv, config->env);
	if (raised && setrlimit(RLIMIT_NOFILE, &descriptors_of_us) < 0)
		LOG_ERRNO("raising the limit of descriptors");
	return r;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct spawn_config *config,
                       const int child[3])
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		/* A child's end that is 0, 1 or 2 itself would be overwritten by an earlier dup2. */
		CHECK(child[i] < 0 || child[i] > 2);
		if (child[i] >= 0)
			r = posix_spawn_file_actions_adddup2(actions, child[i], i);
	}
	if (r == 0 && config->cwd)
		r = posix_spawn_file_actions_addchdir_np(actions, config->cwd);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return r;
}

static int set_attributes(posix_spawnattr_t *attr, const struct spawn_config *config)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	r = posix_spawnattr_setsigmask(attr, &set);
	(void)sigfillset(&set);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &set);
	if (config->new_group)
		flags |= POSIX_SPAWN_SETPGROUP;
	return r ? r : posix_spawnattr_setflags(attr, flags);
}

static int spawn_with(const struct spawn_config *config, const int child[3], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = add_actions(&actions, config, child);
		if (r == 0)
			r = set_attributes(&attr, config);
		if (r == 0)
			r = spawn_limited(config, &actions, &attr, ret_pid);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

int spawn_start(const struct spawn_config *config, struct spawned *out)
{
	int child[3];
	int r = spawn_open_stdio(config, child, out);

	if (r)
		return r;
	r = spawn_with(config, child, &out->pid);
	if (r) {
		spawn_close_stdio(child, out);
		return r;
	}
	for (int i = 0; i < 3; i++)
		child[i] = fd_close(child[i]);
	return 0;
}

int spawn_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}
