/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy - decides about calls between qubes
 *
 * Start-up only: options, helpers, sockets, the first load, and then the loss of every right that
 * deciding does not need. Nothing is opened after confine() but policy files, read-only.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/policy/rights.h"
#include "services/policy/servers.h"

#define SERVICE_GROUP "qubes"
#define SERVICE_USER  "skerry-policy"
#define BACKLOG       512

extern char **environ;

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

/* A helper with our end of its channel returned; -1 after a log line. */
static int start_helper(const char *name, const char *argument)
{
	const char *const places[] = {name, NULL};
	char path[PATH_MAX];
	char *argv[] = {path, argument ? strdup(argument) : NULL, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int pair[2], r;
	pid_t pid;

	if (path_program(path, sizeof(path), places) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
		LOG_ERRNO("%s", name);
		free(argv[1]);
		return -1;
	}
	(void)sigemptyset(&none);
	/* Neither of these can fail: they only clear. */
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, pair[1], 3);
	if (r == 0)
		r = posix_spawn(&pid, path, &actions, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	free(argv[1]);
	fd_close(pair[1]);
	if (r == 0)
		return pair[0];
	errno = r;
	LOG_ERRNO("%s cannot be started", path);
	return fd_close(pair[0]);
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

static int drop_user(void)
{
	long user = find_id("/etc/passwd", SERVICE_USER);

	if (geteuid() != 0)
		return 0;
	if (user < 0) {
		LOG("there is no user %s: running as root, confined", SERVICE_USER);
		return 0;
	}
	return setuid((uid_t)user);
}

static int listen_all(struct service *s, const struct options *o)
{
	const struct {
		const char *path;
		enum text_kind kind;
	} texts[] = {{o->socket, TEXT_POLICY},
	             {o->eval, TEXT_EVAL_SIMPLE},
	             {o->gui, TEXT_EVAL_GUI}};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		fd = fd_listen_unix(texts[i].path, SOCK_STREAM | SOCK_NONBLOCK, 0660, BACKLOG);
		if (fd < 0 || text_server_start(s, fd, texts[i].kind)) {
			LOG_ERRNO("%s", texts[i].path);
			return -1;
		}
	}
	fd = fd_listen_unix(o->calls, SOCK_SEQPACKET | SOCK_NONBLOCK, 0660, BACKLOG);
	if (fd < 0 || calls_server_start(s, fd)) {
		LOG_ERRNO("%s", o->calls);
		return -1;
	}
	return 0;
}

static void on_change(void *arg)
{
	service_bind(arg);
}

static void on_facts(void *arg)
{
	facts_file_changed(arg);
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	struct service *s = arg;

	loop_stop(s->loop, 0);
}

static int start(struct service *s, struct loop *loop, const struct options *o)
{
	struct policy_place place = {.dirs = o->dirs, .n_dirs = o->n_dirs, .legacy_dir = o->legacy};
	int facts, prompter, recorder;

	facts = start_helper("skerry-policy-facts", o->facts_file);
	prompter = start_helper("skerry-policy-prompter", NULL);
	recorder = start_helper("skerry-policy-recorder", o->log);
	if (facts < 0 || prompter < 0 || recorder < 0 ||
	    service_init(s, loop, facts, prompter, recorder))
		return -1;
	s->facts.file = o->facts_file;
	s->live.on_change = on_change;
	s->live.on_facts = on_facts;
	s->live.arg = s;
	if (live_init(&s->live, loop, &place, o->facts_file)) {
		LOG_ERRNO("changes of the policy cannot be watched");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct service service;
	static struct options options;
	struct loop *loop;
	int status;

	log_init("skerry-policy");
	options_take(&options, argc, argv);
	loop = loop_new();
	service.loop = loop;
	if (!loop || loop_signal_add(loop, SIGTERM, on_signal, &service) ||
	    loop_signal_add(loop, SIGINT, on_signal, &service) || take_group() ||
	    start(&service, loop, &options) || listen_all(&service, &options) || drop_user()) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	if (rights_drop(&service.live.place, &service.live.inputs))
		return 1;
	status = loop_run(loop);
	channel_flush(&service.prompter);
	channel_flush(&service.recorder);
	service_fini(&service);
	live_fini(&service.live);
	loop_free(loop);
	return status == 0 ? service.exit_status : 1;
}
