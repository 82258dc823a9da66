/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qubesdb - the QubesDB of one qube, in dom0; takes the place of qubesdb-daemon there
 *
 * It is the keeper: see keeper.c. Exit: 0 ended by SIGTERM, or in the starting process: it serves;
 * 1 anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/vchan/vchan.h"
#include "slices/qubesdb/keeper.h"

#define DOMID_LIMIT 0x7FF0 /* protocol */

struct start {
	bool foreground;
	struct keeper_options keeper;
};

static int usage(FILE *to, int status)
{
	(void)fputs("usage: skerry-qubesdb [--rw-socket-perms=OCTAL] [--foreground] [--ready-fd=N]"
	            " DOMID NAME\n"
	            "Serves the QubesDB of the qube NAME that runs as domain DOMID.\n"
	            "DOMID 0 is dom0's own, which has no other side.\n",
	            to);
	return status;
}

static int number(const char *text, int base, long limit)
{
	char *end;
	long value = strtol(text, &end, base);

	return *text < '0' || *text > '9' || *end != '\0' || value >= limit ? -1 : (int)value;
}

/* A file is named after it. */
static bool name_ok(const char *name)
{
	return *name && *name != '.' && *name != '-' && strlen(name) < 64 && !strchr(name, '/');
}

static int read_options(int argc, char **argv, struct start *s)
{
	static const struct option options[] = {
	        {"rw-socket-perms", required_argument, NULL, 'p'},
	        {"foreground", no_argument, NULL, 'f'},
	        {"ready-fd", required_argument, NULL, 'r'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	int c, mode = 0660;

	s->keeper.ready_fd = -1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'p')
			mode = number(optarg, 8, 01000);
		else if (c == 'f')
			s->foreground = true;
		else if (c == 'r')
			s->keeper.ready_fd = number(optarg, 10, 1024);
		else
			exit(c == 'h' ? usage(stdout, 0) : usage(stderr, 1));
	}
	if (optind + 2 != argc || mode < 0)
		return -1;
	s->keeper.mode = (mode_t)mode;
	s->keeper.domid = number(argv[optind], 10, DOMID_LIMIT);
	s->keeper.name = argv[optind + 1];
	return s->keeper.domid >= 0 && name_ok(s->keeper.name) ? 0 : -1;
}

static int open_log(const char *name)
{
	char path[PATH_MAX], file[NAME_MAX];
	OWNED_FD int fd = -1;

	(void)snprintf(file, sizeof(file), "qubesdb.%s.log", name);
	if (path_make(path, sizeof(path), "/var/log/qubes", file))
		return -1;
	(void)umask(0002);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0664);
	if (fd < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	return dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || setsid() < 0 ? -1 : 0;
}

static int write_pid(const char *name)
{
	char path[PATH_MAX], text[32];
	OWNED_FD int fd = -1;

	(void)snprintf(text, sizeof(text), "qubesdb.%s.pid", name);
	if (path_make(path, sizeof(path), "/var/run/qubes", text))
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0664);
	(void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text));
}

/* The parent ends when the child serves, or has failed. */
static int detached(struct start *s)
{
	uint8_t byte;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid > 0) {
		(void)fd_close(fds[1]);
		return read(fds[0], &byte, 1) == 1 ? 0 : 1;
	}
	(void)fd_close(fds[0]);
	s->keeper.ready_fd = fds[1];
	if (open_log(s->keeper.name) || write_pid(s->keeper.name)) {
		LOG_ERRNO("starting the QubesDB of %s", s->keeper.name);
		return 1;
	}
	return keeper_run(&s->keeper);
}

int main(int argc, char **argv)
{
	struct start start = {0};

	log_init("qubesdb-daemon");
	vchan_use_grant();
	if (fd_open_stdio())
		return 1;
	if (read_options(argc, argv, &start))
		return usage(stderr, 1);
	(void)signal(SIGPIPE, SIG_IGN);
	fd_close_from(3, &start.keeper.ready_fd, start.keeper.ready_fd < 0 ? 0 : 1);
	return start.foreground ? keeper_run(&start.keeper) : detached(&start);
}
