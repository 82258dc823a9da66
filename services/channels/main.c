/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-channels - brings the two ends of each memfd channel together
 *
 * The monitor says which domains there are (proto/monitor.h); each gets a socket of its own, and what
 * is said on it is that domain's. See broker.h. Carries no data of a channel.
 * Trusts: the monitor. Does not trust: anything that comes over a domain's socket.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "proto/monitor.h"
#include "services/channels/broker.h"

#define EXIT_USAGE   2
#define EXIT_AGAIN   111
#define MEMORY_MAX   (128U << 20) /* address space, bytes; chosen */
#define PACKETS_TURN 16           /* of the monitor; chosen */

struct process {
	struct loop *loop;
	struct broker *broker;
	struct loop_fd monitor;
	const char *dir;
	int monitor_fd;
	int ready_fd;
};

static struct process process = {.monitor = LOOP_FD_EMPTY, .monitor_fd = -1, .ready_fd = -1};

static int do_request(struct process *p, const struct monitor_message *request)
{
	if (request->kind == MONITOR_CHANNELS_OPEN)
		return broker_add(p->broker, request->domid);
	broker_remove(p->broker, request->domid);
	return 0;
}

static void answer(struct process *p, const struct monitor_message *request)
{
	struct monitor_message m = {.kind = MONITOR_DONE,
	                            .serial = request->serial,
	                            .domid = request->domid};
	uint8_t packet[MONITOR_PACKET_MAX];
	ssize_t len;

	if (do_request(p, request)) {
		m.kind = MONITOR_FAILED;
		m.failed.error = MONITOR_E_GROUND;
		(void)snprintf(m.failed.text, sizeof(m.failed.text), "the socket for channels: %s",
		               strerror(errno));
	}
	len = monitor_encode(packet, sizeof(packet), &m);
	if (len < 0 || send(p->monitor_fd, packet, (size_t)len, MSG_NOSIGNAL) < 0) {
		LOG_ERRNO("the monitor does not take an answer");
		loop_stop(p->loop, EXIT_AGAIN);
	}
}

static void on_monitor(void *arg, uint32_t events)
{
	static struct monitor_message request;
	static uint8_t packet[MONITOR_PACKET_MAX];
	struct process *p = arg;

	(void)events;
	for (int i = 0; i < PACKETS_TURN; i++) {
		ssize_t n = recv(p->monitor_fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			loop_stop(p->loop, 0);
			return;
		}
		if ((size_t)n > sizeof(packet) || monitor_decode(packet, (size_t)n, &request) ||
		    (request.kind != MONITOR_CHANNELS_OPEN &&
		     request.kind != MONITOR_CHANNELS_CLOSE)) {
			LOG("the monitor sent something else than a request");
			loop_stop(p->loop, EXIT_AGAIN);
			return;
		}
		answer(p, &request);
	}
}

static int confine_process(const struct process *p)
{
	static const struct confine_call calls[] = {
	        CONFINE_CALLS_BASE,
	        CONFINE_CALLS_LOOP,
	        {"accept4", "wishes of a domain"},
	        {"recvfrom", "wishes; requests of the monitor"},
	        {"sendto", "answers to the monitor"},
	        {"sendmsg", "one end of a channel"},
	        {"socketpair", "a channel", 1, {{.arg = 0, .mask = ~0ULL, .value = AF_UNIX}}},
	        {"socket", "a domain's socket", 1, {{.arg = 0, .mask = ~0ULL, .value = AF_UNIX}}},
	        {"bind", "a domain's socket"},
	        {"listen", "a domain's socket"},
	        {"chmod", "a domain's socket"},
	        {"fchmodat", "a domain's socket, other C libraries"},
	        {"mkdir", "a domain's folder"},
	        {"mkdirat", "a domain's folder, other C libraries"},
	        {"rmdir", "a domain's folder"},
	        {"unlink", "a domain's socket"},
	        {"unlinkat", "a domain's socket and folder, other C libraries"},
	};
	const struct confine_path paths[] = {{.path = p->dir, .write = true}};
	struct rlimit files = {0};
	const struct confine_rights rights = {
	        .name = "skerry-channels",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	/* Wishes of many domains are many descriptors. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return confine(&rights);
}

static int set_up(struct process *p)
{
	const int keep[] = {p->monitor_fd, p->ready_fd};

	fd_close_from(3, keep, ARRAY_LEN(keep));
	/* Nobody passes it but us: a qube's folder is bound into that qube. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): main() has seen that it is given */
	if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
		return -1;
	/* Names below it are short then, however long the prefix of all paths is. */
	if (chdir(p->dir) < 0)
		return -1;
	(void)umask(0);
	(void)signal(SIGPIPE, SIG_IGN);
	tzset();
	p->loop = loop_new();
	if (!p->loop)
		return -1;
	p->broker = broker_new(p->loop);
	if (!p->broker || broker_add(p->broker, 0) || confine_process(p) ||
	    loop_fd_add(p->loop, &p->monitor, p->monitor_fd, EPOLLIN, on_monitor, p))
		return -1;
	if (p->ready_fd >= 0 && write(p->ready_fd, "", 1) != 1)
		return -1;
	p->ready_fd = fd_close(p->ready_fd);
	return 0;
}

static int descriptor(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *text == '\0' || *end != '\0' || value < 3 || value > 1023 ? -1 : (int)value;
}

static int usage(FILE *to, int status)
{
	(void)fputs("usage: skerry-channels --dir=DIR --monitor-fd=N [--ready-fd=N]\n"
	            "Brings the two ends of each memfd channel together. Started by skerryd.\n",
	            to);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	        {"dir", required_argument, NULL, 'd'},
	        {"monitor-fd", required_argument, NULL, 'm'},
	        {"ready-fd", required_argument, NULL, 'r'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	struct process *p = &process;
	int c, status;

	log_init("skerry-channels");
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'd')
			p->dir = optarg;
		else if (c == 'm')
			p->monitor_fd = descriptor(optarg);
		else if (c == 'r')
			p->ready_fd = descriptor(optarg);
		else
			return c == 'h' ? usage(stdout, 0) : usage(stderr, EXIT_USAGE);
	}
	if (!p->dir || p->monitor_fd < 0 || optind != argc)
		return usage(stderr, EXIT_USAGE);
	if (set_up(p)) {
		LOG_ERRNO("starting with %s", p->dir);
		return EXIT_AGAIN;
	}
	status = loop_run(p->loop);
	p->broker = broker_free(p->broker);
	p->loop = loop_free(p->loop);
	return status < 0 ? EXIT_AGAIN : status;
}
