/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy - decides about calls between qubes
 *
 * Options and sockets; then it only starts the processes of the service and keeps them running
 * (starter.c). Decides nothing, reads nothing that others write.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/policy.h"
#include "services/policy/policy.h"
#include "services/policy/starter.h"

#define SERVICE_GROUP "qubes"
#define SERVICE_USER  "skerry-policy"
#define BACKLOG       512

struct options {
	const char *dirs[POLICY_DIRS_MAX];
	size_t n_dirs;
	const char *legacy;
	const char *socket;
	const char *calls;
	const char *eval;
	const char *gui;
	const char *facts_file;
	const char *log;
};

/* The path to the first name is the option's; otherwise it stands below the root. */
enum { OPT_DIR = 256, OPT_SOCKET, OPT_CALLS, OPT_EVAL, OPT_GUI, OPT_FACTS, OPT_LOG, OPT_ROOT };

static const struct option long_options[] = {
        {"policy-path", required_argument, NULL, OPT_DIR},
        {"socket-path", required_argument, NULL, OPT_SOCKET},
        {"eval-socket-path", required_argument, NULL, OPT_EVAL},
        {"gui-socket-path", required_argument, NULL, OPT_GUI},
        {"calls-socket", required_argument, NULL, OPT_CALLS},
        {"system-info", required_argument, NULL, OPT_FACTS},
        {"decision-log", required_argument, NULL, OPT_LOG},
        {"root", required_argument, NULL, OPT_ROOT},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

static const char usage_text[] =
        "usage: skerry-policy [--policy-path DIR]... [--socket-path PATH] [--calls-socket PATH]\n"
        "                     [--eval-socket-path PATH] [--gui-socket-path PATH]\n"
        "                     [--system-info FILE] [--decision-log FILE|none] [--root DIR]\n";

/* A path below the root that lives as long as the process. */
static const char *default_path(const char *path)
{
	char full[PATH_MAX];
	char *copy;

	if (path_make(full, sizeof(full), path, NULL) || !(copy = strdup(full))) {
		LOG_ERRNO("%s", path);
		exit(1);
	}
	return copy;
}

/* Inputs are watched and shown by path, so they are made absolute. */
static const char *absolute_path(const char *path)
{
	char folder[PATH_MAX], *copy;

	if (path[0] == '/')
		return path;
	if (!getcwd(folder, sizeof(folder)) || asprintf(&copy, "%s/%s", folder, path) < 0) {
		LOG_ERRNO("%s", path);
		exit(1);
	}
	return copy;
}

static void set_option(struct options *o, int option)
{
	switch (option) {
	case OPT_DIR:
		if (o->n_dirs == POLICY_DIRS_MAX) {
			LOG("at most %u --policy-path", POLICY_DIRS_MAX);
			exit(2);
		}
		o->dirs[o->n_dirs++] = absolute_path(optarg);
		break;
	case OPT_SOCKET:
		o->socket = optarg;
		break;
	case OPT_CALLS:
		o->calls = optarg;
		break;
	case OPT_EVAL:
		o->eval = optarg;
		break;
	case OPT_GUI:
		o->gui = optarg;
		break;
	case OPT_FACTS:
		o->facts_file = absolute_path(optarg);
		break;
	case OPT_LOG:
		o->log = absolute_path(optarg);
		break;
	case OPT_ROOT:
		paths_set_root(optarg);
		break;
	case 'V':
		exit(printf("skerry-policy %s\n", SKERRY_VERSION) < 0);
	case 'h':
		exit(fputs(usage_text, stdout) < 0);
	default:
		(void)fputs(usage_text, stderr);
		exit(2);
	}
}

/* policy.calls.sock stands beside policy.sock unless told otherwise. */
static const char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *full;

	if (asprintf(&full, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name) < 0)
		exit(1);
	return full;
}

static void options_take(struct options *o, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		set_option(o, option);
	if (optind < argc)
		set_option(o, '?');
	if (o->n_dirs == 0) {
		o->dirs[o->n_dirs++] = default_path(POLICY_RUN_DIR);
		o->dirs[o->n_dirs++] = default_path(POLICY_ETC_DIR);
	}
	o->legacy = default_path(POLICY_LEGACY_DIR);
	if (!o->socket)
		o->socket = default_path("/var/run/qubes/" POLICY_SOCKET);
	if (!o->calls)
		o->calls = beside(o->socket, POLICY_CALLS_SOCKET);
	if (!o->eval)
		o->eval = default_path("/etc/qubes-rpc/policy.EvalSimple");
	if (!o->gui)
		o->gui = default_path("/etc/qubes-rpc/policy.EvalGUI");
	if (!o->log)
		o->log = default_path("/var/log/qubes/policy-decisions.log");
	else if (strcmp(o->log + strlen(o->log) - 4, "none") == 0)
		o->log = NULL;
}

/* The number of a name in /etc/passwd or /etc/group; -1: it is not there. */
static long find_id(const char *database, const char *name)
{
	char line[1024];
	size_t len = strlen(name);
	FILE *f = fopen(database, "re");
	long id = -1;

	while (f && id < 0 && fgets(line, sizeof(line), f)) {
		char *field = strncmp(line, name, len) == 0 && line[len] == ':'
		                      ? strchr(line + len + 1, ':')
		                      : NULL;

		if (field)
			id = strtol(field + 1, NULL, 10);
	}
	if (f)
		(void)fclose(f);
	return id;
}

/* Whom the deciding process becomes; -1: nobody else. */
static long service_user(void)
{
	long user = geteuid() == 0 ? find_id("/etc/passwd", SERVICE_USER) : -1;

	if (geteuid() == 0 && user < 0)
		LOG("there is no user %s: deciding as root, confined", SERVICE_USER);
	return user;
}

static int take_group(void)
{
	long group = find_id("/etc/group", SERVICE_GROUP);

	(void)umask(007);
	if (geteuid() != 0)
		return 0;
	if (group < 0) {
		LOG("there is no group %s: the sockets are for root alone", SERVICE_GROUP);
		return 0;
	}
	return setgroups(0, NULL) || setgid((gid_t)group) ? -1 : 0;
}

static int listen_one(int *ret_fd, const char *path, int type)
{
	int fd = fd_listen_unix(path, type | SOCK_NONBLOCK, 0660, BACKLOG);

	/* Above the numbers that the deciding process finds its descriptors at. */
	*ret_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 32);
	fd_close(fd);
	if (*ret_fd >= 0)
		return 0;
	LOG_ERRNO("%s", path);
	return -1;
}

static int listen_all(struct starter_options *start, const struct options *o)
{
	return listen_one(&start->listen[LISTEN_POLICY], o->socket, SOCK_STREAM) ||
	                       listen_one(&start->listen[LISTEN_EVAL], o->eval, SOCK_STREAM) ||
	                       listen_one(&start->listen[LISTEN_GUI], o->gui, SOCK_STREAM) ||
	                       listen_one(&start->listen[LISTEN_CALLS], o->calls, SOCK_SEQPACKET)
	               ? -1
	               : 0;
}

int main(int argc, char **argv)
{
	static struct options options;
	/* SERVICE_USER's number, the legacy folder, the facts file, the policy folders. */
	const char *args[POLICY_DIRS_MAX + 4] = {NULL};
	char user[24];
	struct starter_options start = {.decider_args = args};
	size_t i;

	log_init("skerry-policy");
	options_take(&options, argc, argv);
	(void)snprintf(user, sizeof(user), "%ld", service_user());
	args[0] = user;
	args[1] = options.legacy;
	args[2] = options.facts_file ? options.facts_file : "";
	for (i = 0; i < options.n_dirs; i++)
		args[3 + i] = options.dirs[i];
	start.helper_args[HELPER_FACTS] = options.facts_file;
	start.helper_args[HELPER_RECORDER] = options.log;
	if (fd_open_stdio() || take_group() || listen_all(&start, &options)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	return starter_run(&start);
}
