/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qube-init - first process of a qube on the local ground
 *
 *   made --a byte--> waits for the toolstack's byte, then for SIGUSR1 --> runs --SIGTERM, SIGPWR-->
 *   asks everything to end, ends what does not, exits 0: the qube is off
 *
 * It runs without privileges, holds nothing of dom0 once it has begun, and is trusted by nobody.
 * Called as poweroff, halt or shutdown it tells the first process to end the qube.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"

#define AGAIN_MS     100U /* before a program starts again; doubled while it is short-lived; chosen */
#define AGAIN_MAX_MS 10000U /* chosen */
#define LONG_LIFE_MS 60000U /* chosen */
#define END_MS       5000U  /* what the qube's processes get to end by themselves; chosen */
#define LOG_DIR      "/run/log"

struct program {
	const char *path;
	const char *arguments[2]; /* NULL: none */
	bool once;                /* not started again */
	pid_t pid;                /* 0: does not run */
	uint64_t started_ns;
	unsigned int pause_ms;
	struct loop_timer again;
};

/* What a qube runs besides what it is asked to run; one that is not installed is left out. */
static struct program programs[] = {
        {.path = "/usr/sbin/qubesdb-daemon", .arguments = {"--foreground", "0"}},
        {.path = "/usr/lib/qubes/qrexec-agent"},
        {.path = "/rw/config/rc.local", .once = true},
};
static struct loop *loop;
static struct loop_timer end_timer;
static bool begun;    /* SIGUSR1 came */
static bool stopping; /* SIGTERM or SIGPWR came */
extern char **environ;

static void start(void *arg);

static void make_folder(const char *path, mode_t mode)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		LOG_ERRNO("%s", path);
	else if (chmod(path, mode) && errno != EROFS && errno != EPERM)
		LOG_ERRNO("%s", path);
}

static void make_folders(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	make_folder("/run/qubes", 0755);
	make_folder("/run/lock", 01777);
	make_folder("/run/user", 0755);
	make_folder(LOG_DIR, 0755);
	make_folder("/tmp", 01777);
	make_folder("/tmp/.X11-unix", 01777);
	make_folder("/var/tmp", 01777);
	if (runtime)
		make_folder(runtime, 0700);
}

/* A log that a new start of the program goes on with. */
static int open_log(const char *path)
{
	const char *slash = strrchr(path, '/');
	char name[128];

	(void)snprintf(name, sizeof(name), LOG_DIR "/%s.log", slash ? slash + 1 : path);
	return open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* Signals that this process blocks are not blocked in a child, and each has a session of its own. */
static int spawn(const struct program *p, pid_t *ret_pid)
{
	char *argv[] = {strdup(p->path), p->arguments[0] ? strdup(p->arguments[0]) : NULL,
	                p->arguments[1] ? strdup(p->arguments[1]) : NULL, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	OWNED_FD int log_fd = open_log(p->path);
	sigset_t none;
	int r = argv[0] ? 0 : ENOMEM;

	(void)sigemptyset(&none);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	for (int fd = 1; fd <= 2 && r == 0 && log_fd >= 0; fd++)
		r = posix_spawn_file_actions_adddup2(&actions, log_fd, fd);
	if (r == 0)
		r = posix_spawn(ret_pid, p->path, &actions, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		free(argv[i]);
	return r;
}

static void start_later(struct program *p)
{
	uint64_t lived_ms = (loop_now_ns() - p->started_ns) / 1000000U;

	if (p->once || stopping)
		return;
	p->pause_ms = p->pause_ms == 0 || lived_ms > LONG_LIFE_MS
	                      ? AGAIN_MS
	                      : MIN(p->pause_ms * 2, AGAIN_MAX_MS);
	if (loop_timer_set(loop, &p->again, p->pause_ms, start, p))
		LOG_ERRNO("%s will not be started again", p->path);
}

static void start(void *arg)
{
	struct program *p = arg;
	int r;

	if (access(p->path, X_OK))
		return;
	p->started_ns = loop_now_ns();
	r = spawn(p, &p->pid);
	if (r == 0)
		return;
	p->pid = 0;
	errno = r;
	LOG_ERRNO("%s", p->path);
	start_later(p);
}

/* The end of the qube. */

static void finish(void *arg)
{
	(void)arg;
	/* What did not end by itself; the kernel kills what is left when this process exits. */
	(void)kill(-1, SIGKILL);
	loop_stop(loop, 0);
}

static void on_end(void *arg, int signo, pid_t sender)
{
	(void)arg;
	(void)signo;
	(void)sender;
	if (stopping)
		return;
	stopping = true;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		loop_timer_clear(loop, &programs[i].again);
	if (kill(-1, SIGTERM) && errno == ESRCH) {
		loop_stop(loop, 0);
		return;
	}
	(void)kill(-1, SIGCONT);
	if (loop_timer_set(loop, &end_timer, END_MS, finish, NULL))
		finish(NULL);
}

/* Everything in the qube that loses its parent becomes a child of this process. */
static void on_child(void *arg, int signo, pid_t sender)
{
	pid_t pid;

	(void)arg;
	(void)signo;
	(void)sender;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
			if (programs[i].pid != pid)
				continue;
			programs[i].pid = 0;
			start_later(&programs[i]);
		}
	}
	if (stopping && pid < 0 && errno == ECHILD)
		loop_stop(loop, 0);
}

static void on_begin(void *arg, int signo, pid_t sender)
{
	(void)arg;
	(void)signo;
	(void)sender;
	if (begun || stopping)
		return;
	begun = true;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		start(&programs[i]);
}

/*
 * Signals are taken before readiness is said, and the toolstack's byte says that it has written down
 * who we are: should it die before that, this process ends, for nobody would ever find it.
 */
static int meet_toolstack(int fd)
{
	uint8_t byte = 0;
	ssize_t n;

	if (write(fd, &byte, 1) != 1)
		return -1;
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	(void)fd_close(fd);
	return n == 1 ? 0 : -1;
}

/* For good, for this process and all that the qube will run: without privileges nothing goes up again. */
static void limit(int resource, uint64_t value)
{
	struct rlimit l = {.rlim_cur = value, .rlim_max = value};

	/* A sanitizer reserves more than any program uses. */
	if (!SKERRY_CONFINE && resource == RLIMIT_DATA)
		return;
	if (value > 0 && setrlimit((__rlimit_resource_t)resource, &l))
		LOG_ERRNO("limit %d", resource);
}

/* Nothing of dom0 stays open: what is said from now on stays in the qube. */
static int leave_dom0(void)
{
	OWNED_FD int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	OWNED_FD int log_fd = open_log("skerry-qube-init");
	const char *home = getenv("HOME");

	/* Where commands begin. */
	if (!home || chdir(home))
		LOG_ERRNO("the home folder");
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(log_fd < 0 ? null_fd : log_fd, 1) < 0 ||
	    dup2(log_fd < 0 ? null_fd : log_fd, 2) < 0)
		return -1;
	return 0;
}

static int run(int toolstack_fd)
{
	/* Before the loop opens its own. */
	fd_close_from(3, &toolstack_fd, 1);
	make_folders();
	loop = loop_new();
	if (!loop || loop_signal_add(loop, SIGTERM, on_end, NULL) ||
	    loop_signal_add(loop, SIGPWR, on_end, NULL) ||
	    loop_signal_add(loop, SIGINT, on_end, NULL) ||
	    loop_signal_add(loop, SIGCHLD, on_child, NULL) ||
	    loop_signal_add(loop, SIGUSR1, on_begin, NULL)) {
		LOG_ERRNO("cannot begin");
		return 1;
	}
	if (meet_toolstack(toolstack_fd) || leave_dom0())
		return 1;
	return loop_run(loop);
}

static int power_off(void)
{
	if (kill(1, SIGPWR) == 0)
		return 0;
	LOG_ERRNO("the first process of the qube");
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"toolstack-fd", required_argument, NULL, 't'},
	        {"processes", required_argument, NULL, 'p'},
	        {"data", required_argument, NULL, 'd'},
	        {"file-size", required_argument, NULL, 'f'},
	        {"version", no_argument, NULL, 'V'},
	        {NULL, 0, NULL, 0},
	};
	int fd = -1, c;

	log_init("skerry-qube-init");
	if (argc > 0 && !strstr(argv[0], "skerry-qube-init"))
		return power_off();
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'V')
			return printf("skerry-qube-init %s\n", SKERRY_VERSION) < 0;
		if (c == 't')
			fd = (int)strtol(optarg, NULL, 10);
		else if (c == 'p')
			limit(RLIMIT_NPROC, strtoull(optarg, NULL, 10));
		else if (c == 'd')
			limit(RLIMIT_DATA, strtoull(optarg, NULL, 10));
		else if (c == 'f')
			limit(RLIMIT_FSIZE, strtoull(optarg, NULL, 10));
		else
			return 2;
	}
	if (fd < 3) {
		(void)fputs("skerry-qube-init: --toolstack-fd is needed; the toolstack of the "
		            "local ground "
		            "starts this program\n",
		            stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return run(fd);
}
