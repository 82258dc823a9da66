/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the receiver may do. Its checks keep a stream inside the destination; this keeps the process
 * inside it, should they be wrong or should it be taken over:
 *
 *   an own mount namespace, whose root holds the destination and nothing else, so ".." of any folder
 *   that it can open ends there; Landlock: things can be made and written below, none can be read or
 *   removed; a filter of system calls without sockets, programs or a plain open; no network.
 *
 * No privilege is needed for any of it, so the program is not installed setuid.
 */
#include "filecopy/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

#define MEMORY_MAX (256U << 20) /* libraries that looked the account up are in it */
#define FILES_MAX  64
#define PIPE_BYTES                                                                                 \
	(1 << 20) /* what an ordinary user may ask for; fewer wake-ups with a fast sender */

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        {"openat2", "the destination, the folders on the way, new files"},
        {"mkdirat", "folders"},
        {"symlinkat", "links"},
        {"linkat", "an unnamed file gets its name"},
        {"fchmod", "modes"},
        {"utimensat", "times"},
        {"lseek", "holes"},
        {"ftruncate", "a hole at the end"},
        {"fstat", "a folder that is there already"},
        {"newfstatat", "fstat() of other C libraries"},
        {"fstatfs", "waiting for space"},
        {"clock_nanosleep", "waiting for space"},
        {"syncfs", "the end"},
};

/* Where linkat() needs it, the folder in which this process's descriptors have names. Only that: from
 * all of /proc the way is open to the files of other processes. */
static const char proc_fd_folder[] = "/proc/self/fd";

static int confine_to(const char *folder, bool with_proc)
{
	const struct confine_path paths[] = {{.path = folder, .create = true},
	                                     {.path = proc_fd_folder}};
	const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	const struct confine_rights rights = {
	        .name = "qfile-unpacker",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = with_proc ? 2 : 1,
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};
	int r;

	/*
	 * Standard error is what the sender's user sees. In a qube of namespaces there are no further
	 * ones to be had, which is no news to anybody.
	 */
	log_set_fd(-1);
	r = confine(&rights);
	log_set_fd(STDERR_FILENO);
	if (r)
		LOG("this kernel cannot confine the receiver: nothing is received");
	return r;
}

/* openat2() is the one open that the filter lets through. */
static int open_folder(const char *path)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* The current folder, in a process that then has no other. */
static int enter_destination(struct receive_config *config)
{
	static char path[PATH_MAX];
	OWNED_FD int seen = open_folder(".");
	struct stat before;
	struct stat now;
	bool with_proc;

	if (seen < 0 || fstat(seen, &before) || !getcwd(path, sizeof(path))) {
		LOG_ERRNO("the destination");
		return -1;
	}
	/* What root can name by capability he cannot any more when he has given them up. */
	with_proc = geteuid() == 0 || receive_needs_proc(seen);
	(void)fd_close(fd_take(&seen));
	if (confine_to(path, with_proc))
		return -1;
	config->top_fd = open_folder(path);
	config->proc_fd = with_proc ? open_folder(proc_fd_folder) : -1;
	if (config->top_fd < 0 || (with_proc && config->proc_fd < 0) ||
	    fstat(config->top_fd, &now)) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	if (now.st_dev != before.st_dev || now.st_ino != before.st_ino) {
		LOG("%s was moved away just now", path);
		return -1;
	}
	return 0;
}

static int child(struct receive_config *config)
{
	/* Not with the caller gone: nobody would learn how it ended. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	/* A change of the user took it away, and the maps of a user namespace need it. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	(void)umask(0);
	config->in_fd = STDIN_FILENO;
	config->out_fd = STDOUT_FILENO;
	if (enter_destination(config))
		return 1;
	return receive(config);
}

int receive_confined(const char *program, struct receive_config *config)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(child(config));
	/* The child alone reads the stream: its end must be seen when the child is gone. */
	(void)fd_close(STDIN_FILENO);
	(void)fd_close(STDOUT_FILENO);
	if (pid < 0) {
		LOG_ERRNO("%s: fork", program);
		return 1;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 1;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	LOG("%s: Child process exited abnormally: %s", program,
	    sigdescr_np(WTERMSIG(status)) ? sigdescr_np(WTERMSIG(status)) : "unknown signal");
	return 1;
}
