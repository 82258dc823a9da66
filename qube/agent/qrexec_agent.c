/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrexec-agent: runs in a qube, starts what dom0 wants started there, and hands the qube's own
 * requests to dom0. See agent.h for its parts. Source: doc/protocol/qrexec.md, section 11.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "call/spawn.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/trace/trace.h"
#include "lib/vchan/vchan.h"
#include "qube/agent/agent.h"
#include "qube/agent/fork_server.h"

#define EXIT_USAGE   2 /* also of --help; protocol */
#define AGENT_SOCKET "/var/run/qubes/qrexec-agent"

static void usage(FILE *out)
{
	(void)fputs("usage: qrexec-agent [options]\n"
	            "  -a, --agent-socket=PATH        local socket (default " AGENT_SOCKET ")\n"
	            "  -s, --fork-server-socket=FMT   fork servers' sockets, %s: the user\n"
	            "                                 (default " FORK_SERVER_SOCKET ")\n"
	            "  -S, --no-fork-server           do not use fork servers\n"
	            "  -V, --version\n"
	            "  -h, --help\n",
	            out);
}

static int parse_options(int argc, char **argv, struct agent *agent)
{
	static const struct option options[] = {
	        {"agent-socket", required_argument, NULL, 'a'},
	        {"fork-server-socket", required_argument, NULL, 's'},
	        {"no-fork-server", no_argument, NULL, 'S'},
	        {"version", no_argument, NULL, 'V'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "a:s:SVh", options, NULL)) >= 0) {
		switch (c) {
		case 'a':
			agent->socket_path = optarg;
			break;
		case 's':
			agent->fork_server_format = optarg;
			break;
		case 'S':
			agent->fork_server_format = NULL;
			break;
		case 'V':
			(void)puts("qrexec-agent (Skerry) " SKERRY_VERSION);
			exit(0);
		default:
			usage(c == 'h' ? stdout : stderr);
			return -1;
		}
	}
	if (optind == argc)
		return 0;
	usage(stderr);
	return -1;
}

/* Calls that run in this process are finished by a copy of it; the others have workers. */
static void on_term(void *arg, int signo, pid_t sender)
{
	struct agent *agent = arg;

	(void)signo;
	(void)sender;
	if (unlink(agent->socket_path) < 0 && errno != ENOENT)
		LOG_ERRNO("%s", agent->socket_path);
	if (agent->n_inline == 0 || fork() != 0) {
		loop_stop(agent->loop, 0);
		return;
	}
	agent->leaving = true;
	control_stop(agent);
	trigger_stop(agent);
	absent_stop(agent);
}

static int start(struct agent *agent)
{
	if (pool_new(&agent->pool))
		return -1;
	spawn_raise_descriptors();
	agent->loop = loop_new();
	if (!agent->loop || loop_signal_add(agent->loop, SIGTERM, on_term, agent) ||
	    pool_attach(agent->pool, agent->loop) || session_start(agent) || control_start(agent))
		return -1;
	return trigger_start(agent);
}

int main(int argc, char **argv)
{
	static char socket_path[PATH_MAX];
	static char fork_format[PATH_MAX];
	static char trace_dir[PATH_MAX];
	/* Not on the stack: what it holds is in use until the process is gone. */
	static struct agent agent;
	int status;

	agent.socket_path = socket_path;
	agent.fork_server_format = fork_format;
	log_init("qrexec-agent");
	vchan_use_grant();
	if (path_make(socket_path, sizeof(socket_path), AGENT_SOCKET, NULL) ||
	    path_make(fork_format, sizeof(fork_format), FORK_SERVER_SOCKET, NULL)) {
		LOG_ERRNO("the root prefix is too long");
		return 1;
	}
	if (parse_options(argc, argv, &agent))
		return EXIT_USAGE;
	if (fd_open_stdio()) {
		LOG_ERRNO("/dev/null");
		return 1;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	/* Before the workers are forked: they write into the same ring. */
	if (path_make(trace_dir, sizeof(trace_dir), TRACE_DIR, NULL) == 0)
		trace_open(trace_dir, "qrexec-agent");
	if (start(&agent)) {
		LOG_ERRNO("the agent cannot start");
		return 1;
	}
	status = loop_run(agent.loop);
	if (status >= 0)
		return status;
	LOG_ERRNO("event loop");
	return 1;
}
