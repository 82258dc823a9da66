/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry up, skerry down: the system of this user starts, and ends with all its qubes.
 *
 * The monitor holds a lock for as long as it lives and writes its number into it. The number is believed only
 * while the lock is held, and looked at again after the process was pinned: it cannot be another's by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/skerry_admin.h"
#include "tools/skerry_seed.h"

#define MONITOR_LOG  "/var/log/qubes/skerryd.log"
#define MONITOR_LOCK "/run/skerry/lock"
#define DOWN_MS      180000 /* longer than the monitor itself waits for qubes; chosen */
#define READY_FD     3
#define LOG_TAIL_MAX 2048 /* bytes of the log that are shown if the start failed */

static const char *const monitor_places[] = {"../sbin/skerryd", "skerryd", "../monitor/skerryd",
                                             NULL};

/* A path below the prefix. */
static const char *place(const char *path)
{
	char full[PATH_MAX];

	return path_make(full, sizeof(full), path, NULL) ? path : arena_printf("%s", full);
}

/* The number in the lock; 0: nobody holds it. */
static pid_t monitor_number(void)
{
	const char *path = place(MONITOR_LOCK);
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[16] = {0};
	intmax_t pid;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	pid = strtoimax(text, NULL, 10);
	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* The running monitor, pinned; -1: none. */
static int monitor_open(pid_t *ret_pid)
{
	OWNED_FD int fd = -1;
	pid_t pid = monitor_number();

	if (pid == 0)
		return -1;
	fd = pidfd_open(pid, 0);
	if (fd < 0 || monitor_number() != pid)
		return -1;
	*ret_pid = pid;
	return fd_take(&fd);
}

/* Each folder on the way, for this user alone. */
static int make_folders(const char *path)
{
	char *copy = arena_printf("%s", path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

/* A user's own system lies in his home unless he says otherwise; the commands find it once it is there. */
static int choose_root(void)
{
	char root[PATH_MAX];

	if (geteuid() == 0 || *paths_root())
		return 0;
	if (paths_user_root(root, sizeof(root)))
		return -1;
	paths_set_root(arena_printf("%s", root));
	return 0;
}

NORETURN static void become_monitor(const char *program, int log, int ready)
{
	char fd_option[] = "--ready-fd=3";
	char *const words[] = {(char *)(uintptr_t) "skerryd", fd_option, NULL};

	/* The log first: its number may be the one that the monitor is told. */
	if (setsid() < 0 || chdir("/") || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
	    dup2(ready, READY_FD) < 0 || fd_set_cloexec(READY_FD, false))
		_exit(1);
	fd_close_from(READY_FD + 1, NULL, 0);
	(void)close(0);
	if (fd_open_stdio())
		_exit(1);
	(void)execv(program, words);
	_exit(127);
}

static void show_end_of_log(int log)
{
	char text[LOG_TAIL_MAX];
	off_t end = lseek(log, 0, SEEK_END);
	ssize_t n = pread(log, text, sizeof(text), end > LOG_TAIL_MAX ? end - LOG_TAIL_MAX : 0);

	if (n > 0)
		err_printf("%.*s", (int)n, text);
}

int skerry_up(int argc, char **argv, const struct skerry_options *options)
{
	OWNED_FD int log = -1;
	OWNED_FD int running = -1;
	char program[PATH_MAX];
	const char *log_path, *failed;
	uint8_t byte = 1;
	pid_t pid = 0;
	int ready[2];

	if (words_take(argc, argv, (const struct word_option[]){{0}}) != 1)
		return skerry_usage("up");
	if (choose_root() || path_program(program, sizeof(program), monitor_places))
		return refuse("up", "skerryd", strerror(errno), "is Skerry installed whole?");
	running = monitor_open(&pid);
	if (running >= 0)
		return refuse("up", paths_root(), "the system runs already",
		              "'skerry status' shows it");
	log_path = place(MONITOR_LOG);
	if (make_folders(log_path))
		return refuse("up", log_path, strerror(errno), NULL);
	failed = *paths_root() ? seed_system() : NULL;
	if (failed)
		return refuse("up", failed, strerror(errno), NULL);
	log = open(log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (log < 0 || pipe2(ready, O_CLOEXEC))
		return refuse("up", log_path, strerror(errno), NULL);
	pid = fork();
	if (pid == 0)
		become_monitor(program, log, ready[1]);
	(void)fd_close(ready[1]);
	if (pid < 0 || fd_read_all(ready[0], &byte, 1) || byte != 0) {
		(void)fd_close(ready[0]);
		show_end_of_log(log);
		return refuse("up", "skerryd", "it did not start",
		              arena_printf("its log: %s", log_path));
	}
	(void)fd_close(ready[0]);
	if (options->json)
		out_printf("{\"pid\": %d, \"root\": %s}\n", (int)pid, json_text(paths_root()));
	else
		out_printf("the system runs; its folder: %s\n", *paths_root() ? paths_root() : "/");
	return SKERRY_DONE;
}

int skerry_down(int argc, char **argv, const struct skerry_options *options)
{
	OWNED_FD int monitor = -1;
	struct pollfd end = {.events = POLLIN};
	pid_t pid = 0;

	if (words_take(argc, argv, (const struct word_option[]){{0}}) != 1)
		return skerry_usage("down");
	monitor = monitor_open(&pid);
	if (monitor < 0) {
		if (!options->json)
			out_printf("nothing runs\n");
		return SKERRY_DONE;
	}
	if (!options->json && isatty(STDERR_FILENO))
		err_printf("qubes and system: stopping …\n");
	if (pidfd_send_signal(monitor, SIGTERM, NULL, 0))
		return refuse("down", arena_printf("skerryd, process %d", (int)pid),
		              strerror(errno), NULL);
	end.fd = monitor;
	if (poll(&end, 1, DOWN_MS) != 1)
		return refuse("down", arena_printf("skerryd, process %d", (int)pid),
		              "it has not ended after three minutes",
		              arena_printf("its log: %s", place(MONITOR_LOG)));
	if (options->json)
		out_printf("{\"pid\": %d, \"stopped\": true}\n", (int)pid);
	else
		out_printf("everything is stopped; the qubes' files stay\n");
	return SKERRY_DONE;
}
