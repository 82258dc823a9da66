/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User switching through PAM, in a process for each call: PAM may wait, may leave its process in a
 * state of its own, and wants to close what it opened. That process keeps root, holds nothing of the
 * call while the program runs, and ends with the program's status.
 * Source: doc/protocol/qrexec.md, 10.8.
 */
#include "qube/agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

#define SESSION_SERVICE "qrexec"
#define LOGGER          "/usr/bin/logger"
#define RUN_ARGUMENTS   "exec \"$0\" \"$@\""

/* Nobody is there to type: every question gets an empty answer. */
static int converse(int n, const struct pam_message **messages, struct pam_response **ret_responses,
                    void *arg)
{
	struct pam_response *responses;

	(void)messages;
	(void)arg;
	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	responses = calloc((size_t)n, sizeof(*responses));
	if (!responses)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++)
		responses[i].resp = strdup("");
	*ret_responses = responses;
	return PAM_SUCCESS;
}

static const struct pam_conv conversation = {.conv = converse};

static int set_variable(pam_handle_t *pam, const char *name, const char *value)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "%s=%s", name, value);

	return n < 0 || (size_t)n >= sizeof(text) ? PAM_BUF_ERR : pam_putenv(pam, text);
}

/* The variables of the call, then those of the user, then PAM's own, in one environment. */
static char **session_environment(pam_handle_t *pam, const struct passwd *pw,
                                  const struct spawn_config *config)
{
	static const char prefix[] = "QREXEC";

	for (char *const *e = config->env; *e; e++) {
		if (strncmp(*e, prefix, strlen(prefix)) == 0 && pam_putenv(pam, *e) != PAM_SUCCESS)
			return NULL;
	}
	if (set_variable(pam, "HOME", pw->pw_dir) || set_variable(pam, "SHELL", pw->pw_shell) ||
	    set_variable(pam, "USER", pw->pw_name) || set_variable(pam, "LOGNAME", pw->pw_name))
		return NULL;
	if (!pam_getenv(pam, "PATH") && getenv("PATH") &&
	    set_variable(pam, "PATH", getenv("PATH")) != PAM_SUCCESS)
		return NULL;
	return pam_getenvlist(pam);
}

static void run_program(const struct passwd *pw, const struct spawn_config *config, char **env)
        NORETURN;
static void run_program(const struct passwd *pw, const struct spawn_config *config, char **env)
{
	char shell_name[256];
	const char *base = strrchr(pw->pw_shell, '/');
	char *for_rpc[] = {(char[]){"/bin/sh"},
	                   (char[]){"-lc"},
	                   (char[]){RUN_ARGUMENTS},
	                   config->argv[0],
	                   config->argv[0] ? config->argv[1] : NULL,
	                   NULL};
	char *for_shell[] = {shell_name, (char[]){"-c"}, config->is_shell ? config->argv[2] : NULL,
	                     NULL};

	if (setgid(pw->pw_gid) || setuid(pw->pw_uid)) {
		LOG_ERRNO("becoming %s", pw->pw_name);
		_exit(QREXEC_EXIT_PROBLEM);
	}
	(void)setsid();
	if (chdir(pw->pw_dir) < 0)
		LOG_ERRNO("%s", pw->pw_dir);
	(void)snprintf(shell_name, sizeof(shell_name), "-%s", base ? base + 1 : pw->pw_shell);
	if (config->is_shell)
		(void)execve(pw->pw_shell, for_shell, env);
	else
		(void)execve("/bin/sh", for_rpc, env);
	LOG_ERRNO("%s", config->is_shell ? pw->pw_shell : "/bin/sh");
	_exit(errno == ENOENT ? QREXEC_EXIT_NOT_FOUND : QREXEC_EXIT_PROBLEM);
}

/* Gives the call's descriptors up. Nothing that is opened later may take their numbers. */
static void close_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		(void)fd_close(fd);
	if (fd_open_stdio())
		LOG_ERRNO("/dev/null");
}

/* Runs the program and waits for it, holding none of its descriptors. */
static int run_and_wait(const struct passwd *pw, const struct spawn_config *config, char **env)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		run_program(pw, config, env);
	if (pid < 0) {
		LOG_ERRNO("fork");
		return QREXEC_EXIT_PROBLEM;
	}
	close_stdio();
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return QREXEC_EXIT_PROBLEM;
	}
	return spawn_status(status);
}

static int in_session(const struct passwd *pw, const struct spawn_config *config)
{
	pam_handle_t *pam = NULL;
	char **env;
	int status = QREXEC_EXIT_PROBLEM;
	int r = pam_start(SESSION_SERVICE, pw->pw_name, &conversation, &pam);

	if (r == PAM_SUCCESS)
		r = pam_authenticate(pam, 0);
	if (r == PAM_SUCCESS && initgroups(pw->pw_name, pw->pw_gid) < 0)
		r = PAM_SYSTEM_ERR;
	if (r == PAM_SUCCESS)
		r = pam_setcred(pam, PAM_ESTABLISH_CRED);
	if (r == PAM_SUCCESS)
		r = pam_open_session(pam, 0);
	if (r != PAM_SUCCESS) {
		LOG("no session for %s: %s", pw->pw_name, pam ? pam_strerror(pam, r) : "no PAM");
		if (pam)
			(void)pam_end(pam, r);
		return QREXEC_EXIT_PROBLEM;
	}
	env = session_environment(pam, pw, config);
	if (env)
		status = run_and_wait(pw, config, env);
	r = pam_close_session(pam, 0);
	if (pam_setcred(pam, PAM_DELETE_CRED | PAM_SILENT) != PAM_SUCCESS || r != PAM_SUCCESS)
		LOG("closing the session of %s: %s", pw->pw_name, pam_strerror(pam, r));
	(void)pam_end(pam, r);
	return status;
}

/* Copies the program's stderr to the system log as well, for as long as somebody writes. */
static void copy_to_logger(int from, int to, const char *tag) NORETURN;
static void copy_to_logger(int from, int to, const char *tag)
{
	char buffer[4096];
	int log[2];
	ssize_t n;

	if (pipe2(log, O_CLOEXEC) < 0)
		_exit(1);
	if (fork() == 0) {
		if (dup2(log[0], 0) == 0)
			(void)execl(LOGGER, "logger", "-t", tag, (char *)NULL);
		_exit(1);
	}
	(void)fd_close(log[0]);
	(void)signal(SIGPIPE, SIG_IGN);
	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		if (to >= 0 && fd_write_all(to, buffer, (size_t)n))
			to = fd_close(to);
		if (log[1] >= 0 && fd_write_all(log[1], buffer, (size_t)n))
			log[1] = fd_close(log[1]);
	}
	_exit(0);
}

/* Returns whether standard error is the logger's pipe now. */
static bool insert_logger(const char *tag, bool to_caller)
{
	bool in_place;
	int fds[2];
	pid_t pid;

	if (!*tag || access(LOGGER, X_OK) < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		int to = to_caller ? fcntl(2, F_DUPFD_CLOEXEC, 3) : -1;

		close_stdio();
		(void)fd_close(fds[1]);
		copy_to_logger(fds[0], to, tag);
	}
	in_place = pid > 0 && dup2(fds[1], 2) >= 0;
	if (!in_place)
		LOG_ERRNO("the copy for the system log");
	(void)fd_close(fds[0]);
	(void)fd_close(fds[1]);
	return in_place;
}

static void helper_main(const struct user *user, const struct spawn_config *config,
                        const int child[3]) NORETURN;
static void helper_main(const struct user *user, const struct spawn_config *config,
                        const int child[3])
{
	int log = fcntl(2, F_DUPFD_CLOEXEC, 3);
	const struct passwd *pw;
	sigset_t none;

	/* What we have to say is the agent's, not the caller's, who is another qube. */
	if (log >= 0)
		log_set_fd(log);
	for (int i = 0; i < 3; i++) {
		if (child[i] >= 0 && dup2(child[i], i) < 0)
			_exit(QREXEC_EXIT_PROBLEM);
	}
	fd_close_from(3, &log, 1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (setpgid(0, 0) < 0)
		LOG_ERRNO("setpgid");
	pw = getpwnam(user->name);
	if (!pw || !pw->pw_name || !pw->pw_passwd || !pw->pw_dir || !pw->pw_shell) {
		LOG("there is no user %s", user->name);
		_exit(QREXEC_EXIT_PROBLEM);
	}
	/* A pipe belongs to who made it: the user could not open /dev/stderr. */
	if ((insert_logger(user->tag, config->pipe_err) || config->pipe_err) &&
	    fchown(2, pw->pw_uid, pw->pw_gid) < 0)
		LOG_ERRNO("the standard error of %s", pw->pw_name);
	_exit(in_session(pw, config));
}

int user_start(void *arg, const struct spawn_config *config, struct spawned *out)
{
	const struct user *user = arg;
	int child[3];
	int r = spawn_open_stdio(config, child, out);

	if (r)
		return r;
	out->pid = fork();
	if (out->pid == 0)
		helper_main(user, config, child);
	if (out->pid < 0) {
		r = errno;
		spawn_close_stdio(child, out);
		return r;
	}
	for (int i = 0; i < 3; i++)
		child[i] = fd_close(child[i]);
	return 0;
}
