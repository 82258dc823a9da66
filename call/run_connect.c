/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reaching socket and TCP services without ever waiting: a Unix socket whose backlog is full is
 * tried again with growing pauses, a TCP connection is awaited by the loop.
 * Source: doc/protocol/qrexec.md, 10.5 and 10.6.
 */
#include "call/run_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

#define RETRY_FIRST_MS 1     /* chosen */
#define RETRY_LAST_MS  10000 /* sum of pauses after which a full backlog is a failure; chosen */
#define TCP_LIMIT_MS   60000 /* chosen: shorter than the kernel's two minutes */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

void run_connect_fini(struct run *run)
{
	loop_fd_remove(run->loop, &run->connect_watch);
	loop_timer_clear(run->loop, &run->connect_timer);
	run->connect_fd = fd_close(run->connect_fd);
}

static void fail(struct run *run, const char *what)
{
	LOG_ERRNO("%s: %s", what, "connect");
	run_connect_fini(run);
	run_failed(run, QREXEC_EXIT_PROBLEM);
}

/* Unix. */

static void try_unix(void *arg);

static void retry_unix(struct run *run)
{
	uint64_t wait = run->connect_wait_ms ? run->connect_wait_ms : RETRY_FIRST_MS;

	run->connect_wait_ms += wait;
	if (run->connect_wait_ms > RETRY_LAST_MS ||
	    loop_timer_set(run->loop, &run->connect_timer, wait, try_unix, run))
		fail(run, run->found.path);
}

static void try_unix(void *arg)
{
	struct run *run = arg;
	int fd = fd_connect_unix(run->found.path, SOCK_STREAM | SOCK_NONBLOCK);

	if (fd >= 0)
		run_connected(run, fd);
	else if (errno == EAGAIN)
		retry_unix(run);
	else
		fail(run, run->found.path);
}

/* TCP. */

/* Text that lookup.c checked, so only the zone of an IPv6 address can still be wrong. */
static socklen_t fill_address(const struct service_found *found, union address *out)
{
	char host[sizeof(found->host)];
	uint16_t port = htons((uint16_t)strtoul(found->port, NULL, 10));
	char *zone;

	*out = (union address){0};
	if (!strpbrk(found->host, ":%")) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = port;
		return inet_pton(AF_INET, found->host, &out->v4.sin_addr) == 1 ? sizeof(out->v4)
		                                                               : 0;
	}
	memcpy(host, found->host, sizeof(host));
	zone = strchr(host, '%');
	if (zone) {
		*zone++ = '\0';
		out->v6.sin6_scope_id = if_nametoindex(zone);
		if (out->v6.sin6_scope_id == 0)
			return 0;
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = port;
	return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 ? sizeof(out->v6) : 0;
}

static void tcp_done(struct run *run)
{
	int fd = fd_take(&run->connect_fd);
	int one = 1;

	run_connect_fini(run);
	/* Messages are passed on as they come; waiting to join them only adds delay. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	run_connected(run, fd);
}

static void on_tcp(void *arg, uint32_t events)
{
	struct run *run = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(run->connect_fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		tcp_done(run);
		return;
	}
	errno = error;
	fail(run, run->found.host);
}

static void on_tcp_limit(void *arg)
{
	struct run *run = arg;

	errno = ETIMEDOUT;
	fail(run, run->found.host);
}

static void try_tcp(struct run *run)
{
	union address address;
	socklen_t len = fill_address(&run->found, &address);

	errno = EADDRNOTAVAIL;
	if (len == 0) {
		fail(run, run->found.host);
		return;
	}
	run->connect_fd =
	        socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (run->connect_fd < 0) {
		fail(run, run->found.host);
		return;
	}
	if (connect(run->connect_fd, &address.any, len) == 0)
		tcp_done(run);
	else if (errno != EINPROGRESS ||
	         loop_fd_add(run->loop, &run->connect_watch, run->connect_fd, EPOLLOUT, on_tcp,
	                     run) ||
	         loop_timer_set(run->loop, &run->connect_timer, TCP_LIMIT_MS, on_tcp_limit, run))
		fail(run, run->found.host);
}

void run_connect(struct run *run)
{
	run->connect_wait_ms = 0;
	if (run->found.kind == SERVICE_TCP)
		try_tcp(run);
	else
		try_unix(run);
}
