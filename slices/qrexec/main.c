/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qrexec - the qrexec daemon of one qube: command line, environment, log and start of the
 * original. doc/protocol/qrexec.md, 6.1 and 6.2.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/vchan/vchan.h"
#include "slices/qrexec/keeper.h"

#define STARTUP_SECONDS 60 /* protocol */
#define NAME_LEN_MAX    63 /* bytes; what policy can be asked about */

/* What the starting parent exits with; the child's byte says which. */
enum start_status { START_READY = 0, START_FAILED = 1, START_NO_AGENT = 3 };

struct start_options {
	bool quiet;
	bool no_wait;
};

static void usage(FILE *out, const char *program)
{
	fprintf(out,
	        "usage: %s [options] domainid domain-name [default user]\n"
	        "Options:\n"
	        "  -h, --help                 this text\n"
	        "  -V, --version              the version\n"
	        "  -q, --quiet                no progress while waiting\n"
	        "      --socket-dir=PATH      where the sockets are, default /var/run/qubes\n"
	        "  -p, --policy-program=PATH  ask this program instead of the policy service\n"
	        "  -D, --direct               stay in the foreground, log to standard error\n"
	        "      --ready-fd=N           with -D: a byte goes to this descriptor when the "
	        "agent is\n"
	        "                             there\n"
	        "  -u, --uuid=UUID            the qube's UUID (needed)\n",
	        program);
}

/* The text ends up in a path, in a command and in questions to policy. */
static bool name_legal(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_LEN_MAX || name[0] == '.')
		return false;
	for (; *name; name++) {
		if (!qrexec_target_char(*name))
			return false;
	}
	return true;
}

static bool uuid_legal(const char *uuid)
{
	if (strlen(uuid) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? uuid[i] != '-' : !isxdigit((unsigned char)uuid[i]))
			return false;
	}
	return true;
}

static bool user_legal(const char *user)
{
	size_t len = strlen(user);

	return len > 0 && len <= KEEPER_USER_MAX && !strchr(user, ':') && !strchr(user, '\n');
}

static int parse_domain(const char *text)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	return errno || end == text || *end || value <= 0 || value > INT_MAX ? -1 : (int)value;
}

static int read_options(int argc, char **argv, struct keeper_options *o, struct start_options *s)
{
	static const struct option longs[] = {
	        {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, 'V'},
	        {"quiet", no_argument, NULL, 'q'},
	        {"socket-dir", required_argument, NULL, 'd'},
	        {"policy-program", required_argument, NULL, 'p'},
	        {"direct", no_argument, NULL, 'D'},
	        {"ready-fd", required_argument, NULL, 'r'},
	        {"uuid", required_argument, NULL, 'u'},
	        {NULL, 0, NULL, 0},
	};
	const char *dir = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "hVqp:Du:", longs, NULL)) != -1) {
		switch (c) {
		case 'V':
			printf("skerry-qrexec %s\n", SKERRY_VERSION);
			exit(0);
		case 'q':
			s->quiet = true;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'p':
			o->policy_program = optarg;
			break;
		case 'D':
			o->direct = true;
			break;
		case 'r':
			o->ready_fd = parse_domain(optarg);
			if (o->ready_fd < 3 || fd_set_cloexec(o->ready_fd, true)) {
				fprintf(stderr,
				        "--ready-fd: an open descriptor above 2 is needed\n");
				exit(1);
			}
			break;
		case 'u':
			o->uuid = optarg;
			break;
		case 'h':
		default:
			return -1;
		}
	}
	if (argc - optind < 2 || argc - optind > 3)
		return -1;
	if (dir ? !realpath(dir, o->socket_dir)
	        : path_make(o->socket_dir, sizeof(o->socket_dir), "/var/run/qubes", NULL)) {
		fprintf(stderr, "%s: %s\n", dir ? dir : "socket folder", strerror(errno));
		exit(1);
	}
	return 0;
}

static int check_options(char **positional, struct keeper_options *o)
{
	o->xid = parse_domain(positional[0]);
	o->name = positional[1];
	o->user = positional[2] ? positional[2] : "user";
	if (o->xid < 0)
		fprintf(stderr, "domainid: a number above 0 is needed\n");
	else if (!name_legal(o->name))
		fprintf(stderr, "domain-name: not the name of a qube\n");
	else if (!user_legal(o->user))
		fprintf(stderr, "default user: not the name of a user\n");
	else if (!o->uuid || !uuid_legal(o->uuid))
		fprintf(stderr, "--uuid: a UUID is needed\n");
	else
		return 0;
	return -1;
}

static void read_environment(struct keeper_options *o, struct start_options *s)
{
	const char *text = getenv("QREXEC_STARTUP_TIMEOUT");
	int seconds = text ? parse_domain(text) : -1;

	s->no_wait = getenv("QREXEC_STARTUP_NOWAIT") != NULL;
	if (seconds <= 0)
		seconds = STARTUP_SECONDS;
	o->startup_ms = s->no_wait ? 0 : (uint64_t)seconds * 1000;
}

/* Descriptors 0 to 2 must be what we think they are. */
static int fix_stdio(void)
{
	OWNED_FD int null_fd = -1;

	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			return -1;
	}
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null_fd < 0 || dup2(null_fd, 0) < 0 ? -1 : 0;
}

/* The child: own session, own log, in the socket folder. */
static int detach(const struct keeper_options *o)
{
	OWNED_FD int log_fd = -1;
	char dir[PATH_MAX];
	char path[PATH_MAX];
	int n;

	if (path_make(dir, sizeof(dir), "/var/log/qubes", NULL))
		return -1;
	n = snprintf(path, sizeof(path), "%s/qrexec.%s.log", dir, o->name);
	if (n < 0 || (size_t)n >= sizeof(path) || chdir(o->socket_dir))
		return -1;
	(void)umask(0007);
	log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0660);
	if (log_fd < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	if (dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
		return -1;
	return setsid() < 0 ? -1 : 0;
}

/* The parent: until the child says how it went. */
static int wait_ready(int fd, bool quiet)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t byte = 0;
	ssize_t n;

	while (poll(&p, 1, quiet ? -1 : 1000) <= 0) {
		if (!quiet)
			(void)fputc('.', stderr);
	}
	n = read(fd, &byte, 1);
	if (n != 1)
		return START_FAILED;
	return byte == 0 ? START_READY : START_NO_AGENT;
}

static int run_detached(struct keeper_options *o, const struct start_options *s)
{
	int fds[2];
	pid_t pid;
	int status;

	if (pipe2(fds, O_CLOEXEC)) {
		LOG_ERRNO("pipe");
		return START_FAILED;
	}
	if (!s->quiet)
		fprintf(stderr, "Waiting for the agent of %s", o->name);
	pid = fork();
	if (pid < 0) {
		LOG_ERRNO("fork");
		return START_FAILED;
	}
	if (pid > 0) {
		(void)fd_close(fds[1]);
		status = s->no_wait ? START_READY : wait_ready(fds[0], s->quiet);
		if (!s->quiet)
			fprintf(stderr, "%s\n", status == START_READY ? "" : " failed");
		return status;
	}
	(void)fd_close(fds[0]);
	if (detach(o))
		return START_FAILED;
	o->ready_fd = fds[1];
	status = keeper_run(o);
	if (status == START_NO_AGENT) {
		uint8_t byte = 1;

		if (write(fds[1], &byte, 1) != 1)
			LOG_ERRNO("the starter could not be told");
	}
	return status;
}

/* The rights that a setuid or setgid start left behind go. */
static int drop_saved_ids(void)
{
	return setresgid(getgid(), getgid(), getgid()) || setresuid(getuid(), getuid(), getuid());
}

int main(int argc, char **argv)
{
	struct keeper_options options = {.ready_fd = -1};
	struct start_options start = {0};

	if (fix_stdio())
		return QREXEC_EXIT_PROBLEM;
	log_init("qrexec-daemon");
	vchan_use_grant();
	if (read_options(argc, argv, &options, &start)) {
		usage(stderr, argv[0]);
		return 1;
	}
	if (check_options(argv + optind, &options))
		return 1;
	read_environment(&options, &start);
	(void)signal(SIGPIPE, SIG_IGN);
	if (drop_saved_ids()) {
		LOG_ERRNO("saved ids");
		return 1;
	}
	fd_close_from(3, &options.ready_fd, options.ready_fd < 0 ? 0 : 1);
	return options.direct ? keeper_run(&options) : run_detached(&options, &start);
}
