/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
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

static struct rlimit descriptors; /* of the programs, if raised */
static bool raised;

void spawn_raise_descriptors(void)
{
	struct rlimit ours;

	if (raised || getrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return;
	ours = descriptors;
	ours.rlim_cur = descriptors.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &ours) < 0)
		LOG_ERRNO("raising the limit of descriptors");
	else
		raised = true;
}

void spawn_lower_descriptors(void)
{
	if (raised && setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		LOG_ERRNO("lowering the limit of descriptors");
	raised = false;
}

/*
 * posix_spawn() does the same, but asks for every signal's action in every child; ours are few, and
 * do not change once a program runs. The child shares our memory until it executes the program, and
 * we stand still meanwhile, so it has a stack of its own and calls nothing that keeps state.
 */
/* Bytes; room for a sanitizer's frames, too: what is not touched costs nothing. Chosen. */
#define CHILD_STACK 65536U

struct child {
	const struct spawn_config *config;
	const int *fds;
	int error; /* what stopped it; 0: the program runs */
};

static const sigset_t *ignored_signals(void)
{
	static sigset_t ignored;
	static bool known;

	if (known)
		return &ignored;
	(void)sigemptyset(&ignored);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction now;

		if (sigaction(i, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
			(void)sigaddset(&ignored, i);
	}
	known = true;
	return &ignored;
}

static int reset_signals(void)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};
	const sigset_t *ignored = ignored_signals();
	sigset_t none;

	for (int i = 1; i < NSIG; i++) {
		if (sigismember(ignored, i) == 1 && sigaction(i, &action, NULL) < 0)
			return -1;
	}
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int prepare_child(const struct child *child)
{
	for (int i = 0; i < 3; i++) {
		if (child->fds[i] >= 0 && dup2(child->fds[i], i) < 0)
			return -1;
	}
	if (child->config->new_group && setpgid(0, 0) < 0)
		return -1;
	if (child->config->cwd && chdir(child->config->cwd) < 0)
		return -1;
	if (close_range(3, ~0U, 0) < 0 || (raised && setrlimit(RLIMIT_NOFILE, &descriptors) < 0))
		return -1;
	return reset_signals();
}

static int child_main(void *arg)
{
	struct child *child = arg;

	if (prepare_child(child) == 0)
		(void)execve(child->config->path, child->config->argv, child->config->env);
	child->error = errno;
	_exit(127);
}

static int spawn_with(const struct spawn_config *config, const int fds[3], pid_t *ret_pid)
{
	static char stack[CHILD_STACK] __attribute__((aligned(16)));
	struct child child = {.config = config, .fds = fds};
	pid_t pid;

	/* A child's end that is 0, 1 or 2 itself would be overwritten by an earlier dup2. */
	for (int i = 0; i < 3; i++)
		CHECK(fds[i] < 0 || fds[i] > 2);
	(void)ignored_signals();
	pid = clone(child_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
	if (pid < 0)
		return errno;
	if (child.error == 0) {
		*ret_pid = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return child.error;
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

void spawn_abandon(pid_t pid)
{
	/* The group is its own only with new_group; the process is in any case. */
	if (getpgid(pid) == pid)
		(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int spawn_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}
