/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-backup - reads profiles of backups and makes backups, for admin.backup.*
 *
 * Waits for connections of the admin service, and starts a process for each: operate.c. It reads
 * nothing itself. A process that ends in the middle takes its operation with it and nothing else.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/backup/service.h"

#define LOOK_MS        200 /* between looks for operations that have ended; chosen */
#define OPERATIONS_MAX 16U
#define ADMIN_USER     "skerry-admin" /* monitor/processes.def */

struct options {
	int monitor_fd, ready_fd;
	unsigned int log_n;
};

static void usage(FILE *to)
{
	(void)fputs("usage: skerry-backup [--root DIR] [--monitor-fd N] [--ready-fd N] "
	            "[--scrypt-cost N]\n"
	            "The monitor starts it; see skerry-backup(8).\n",
	            to);
}

/* 0: go on; else exit status + 1. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {{"root", required_argument, NULL, 'R'},
	                                     {"monitor-fd", required_argument, NULL, 'm'},
	                                     {"ready-fd", required_argument, NULL, 'r'},
	                                     {"scrypt-cost", required_argument, NULL, 'c'},
	                                     {"help", no_argument, NULL, 'h'},
	                                     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		int number = optarg ? (int)strtoul(optarg, NULL, 10) : -1;

		if (c == 'R')
			paths_set_root(optarg);
		else if (c == 'm')
			o->monitor_fd = number;
		else if (c == 'r')
			o->ready_fd = number;
		else if (c == 'c' && number > 0 && number < 32)
			o->log_n = (unsigned int)number;
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 1 : 3;
		}
	}
	if (optind == argc)
		return 0;
	usage(stderr);
	return 3;
}

/* Nobody but the admin service gets to it: a backup holds everything. */
static int open_door(void)
{
	struct passwd *admin = geteuid() == 0 ? getpwnam(ADMIN_USER) : NULL;
	char path[PATH_MAX];
	int fd;

	if (path_make(path, sizeof(path), "/run/qubes", NULL))
		return -1;
	if (mkdir(path, 0755) && errno != EEXIST)
		LOG_ERRNO("%s", path);
	if (path_make(path, sizeof(path), "/run/qubes", BACKUP_SOCKET))
		return -1;
	fd = fd_listen_unix(path, SOCK_SEQPACKET, 0600, OPERATIONS_MAX);
	if (fd < 0 || (admin && chown(path, admin->pw_uid, (gid_t)-1))) {
		LOG_ERRNO("%s", path);
		return fd_close(fd);
	}
	return fd;
}

static void serve_one(int door, const struct options *o, unsigned int *running)
{
	OWNED_FD int conn = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	pid_t parent = getpid(), pid;

	if (conn < 0)
		return;
	if (*running >= OPERATIONS_MAX) {
		service_fail(conn, BACKUP_E_FAILED, "Too many backups at once");
		return;
	}
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		(void)fd_close(door);
		(void)fd_close(o->monitor_fd);
		operate(conn, o->log_n);
	}
	if (pid < 0)
		service_fail(conn, BACKUP_E_FAILED, "No process can be started");
	else
		(*running)++;
}

/* Operations that have ended; by a signal is none of the ways that they have. */
static void take_away(unsigned int *running)
{
	int status;

	while (*running > 0 && waitpid(-1, &status, WNOHANG) > 0) {
		(*running)--;
		if (WIFSIGNALED(status))
			LOG("an operation was ended by signal %d", WTERMSIG(status));
	}
}

/* Until the monitor is gone. */
static int serve(int door, const struct options *o)
{
	struct pollfd fds[2] = {{.fd = door, .events = POLLIN},
	                        {.fd = o->monitor_fd, .events = POLLRDHUP}};
	unsigned int running = 0;

	for (;;) {
		/* Now and then, so that what has ended is taken away. */
		int n = poll(fds, ARRAY_LEN(fds), running ? LOOK_MS : -1);

		if (n < 0 && errno != EINTR)
			return 1;
		take_away(&running);
		if (n <= 0)
			continue;
		if (fds[1].revents)
			return 0;
		if (fds[0].revents)
			serve_one(door, o, &running);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.monitor_fd = -1, .ready_fd = -1};
	OWNED_FD int door = -1;
	int r;

	log_init("skerry-backup");
	r = parse(argc, argv, &o);
	if (r)
		return r - 1;
	if (fd_open_stdio() || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    (o.monitor_fd >= 0 && fd_set_cloexec(o.monitor_fd, true))) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	(void)umask(0077);
	door = open_door();
	if (door < 0)
		return 1;
	if (o.ready_fd >= 0 && fd_write_all(o.ready_fd, "\n", 1))
		LOG_ERRNO("nobody waits for this to be ready");
	(void)fd_close(o.ready_fd);
	return serve(door, &o);
}
