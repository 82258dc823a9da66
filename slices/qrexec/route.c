/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From "allow" to the data channel. Everything that goes into a command or a path is checked here
 * again, though policy and qubesd are trusted: a space or a newline in a name would make another
 * command of it. Nothing is forked.
 */
#include "slices/qrexec/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/trace/trace.h"
#include "slices/qrexec/disposable.h"
#include "slices/qrexec/qubesd.h"
#include "slices/qrexec/qubesd_reply.h"
#include "slices/qrexec/runner_link.h"

#define ROUTE_BUSY_MS   2  /* the daemon's queue of connections is full: again after; chosen */
#define ROUTE_ABSENT_MS 50 /* its socket is not there yet after a start; chosen */

static const char dom0_uuid[] = "uuid:00000000-0000-0000-0000-000000000000";
static const char dispvm[] = "@dispvm:";

static void connect_target(struct request *r);

/* What may stand in a command or a path. */

static bool all_legal(const char *text, bool (*legal)(char))
{
	for (; *text; text++) {
		if (!legal(*text))
			return false;
	}
	return true;
}

static bool user_char(char c)
{
	return c > ' ' && c < 0x7f && c != ':' && c != '/';
}

static bool user_legal(const char *user)
{
	return user[0] != '\0' && all_legal(user, user_char);
}

static bool service_legal(const char *service)
{
	return service[0] != '\0' && service[0] != '+' && all_legal(service, qrexec_name_char);
}

static bool answer_legal(const struct policy_answer *a)
{
	return user_legal(a->user) && qubesd_name_legal(a->target) &&
	       (a->target_uuid[0] == '\0' || qubesd_name_legal(a->target_uuid)) &&
	       qubesd_name_legal(a->requested_target) &&
	       (a->policy_source[0] == '\0' || qubesd_name_legal(a->policy_source)) &&
	       (a->service[0] == '\0' || service_legal(a->service));
}

/* Services in dom0. */

static void start_dom0(void *arg)
{
	struct request *r = arg;
	struct keeper *k = r->k;
	uint32_t port = 0;

	loop_timer_clear(k->loop, &r->timer);
	if (ports_take(&k->ports, 0, keeper_now_ms(), NULL, &port)) {
		request_refuse(r, "no port");
		return;
	}
	if (runner_link_run(k, port, r->command)) {
		(void)ports_release(&k->ports, 0, port, keeper_now_ms(), NULL);
		request_refuse(r, "the service could not be given to the runner");
		return;
	}
	request_connect(r, 0, port);
}

static void on_port_late(void *arg)
{
	struct request *r = arg;
	uint64_t left_ms = keeper_port_wait_ms(r->k, 0, r->waits_ms);

	if (left_ms == 0 || loop_timer_set(r->k->loop, &r->timer, left_ms, on_port_late, r))
		request_refuse(r, "no port became free in time");
}

static void route_dom0(struct request *r, const struct policy_answer *a, const char *service,
                       const char *source)
{
	const char *plus = strchr(service, '+') ? "" : "+";
	bool keyword = a->requested_target[0] == '@';
	struct keeper *k = r->k;
	struct ports *ports = &k->ports;

	if (asprintf(&r->command, "QUBESRPC %s%s %s %s %s", service, plus, source,
	             keyword ? "keyword" : "name", a->requested_target + keyword) < 0) {
		r->command = NULL;
		request_refuse(r, "no memory");
		return;
	}
	r->state = REQUEST_PORT;
	r->waits_ms = keeper_now_ms();
	if (ports_full(ports, 0)) {
		if (ports_wait(ports, 0, &r->wait, start_dom0, r) ||
		    loop_timer_set(k->loop, &r->timer, deadline_ms(LIMIT_PORT_WAIT_MS),
		                   on_port_late, r))
			request_refuse(r, "no port");
		return;
	}
	start_dom0(r);
}

/* Another qube: its daemon's answer. */

static void close_spent(void *arg)
{
	struct spent *spent = &((struct keeper *)arg)->spent;

	while (spent->n > 0)
		(void)fd_close(spent->fds[--spent->n]);
}

void route_stop(struct keeper *k)
{
	loop_timer_clear(k->loop, &k->spent.timer);
	close_spent(k);
}

/*
 * The other daemon has said what we wanted to know. Closed now, the connection would wake it in the
 * middle of the call; it closes its end itself when the call is over.
 */
static void spend(struct keeper *k, int fd)
{
	struct spent *spent = &k->spent;

	if (spent->n == ARRAY_LEN(spent->fds))
		close_spent(k);
	spent->fds[spent->n++] = fd;
	if (spent->timer.index == 0 &&
	    loop_timer_set(k->loop, &spent->timer, LIMIT_SPENT_MS, close_spent, k))
		close_spent(k);
}

static void connected(struct request *r, uint32_t domain, uint32_t port)
{
	if (r->disposable) {
		loop_fd_remove(r->k->loop, &r->source_fd);
		disposable_hold(r->disposable, fd_take(&r->fd));
		r->disposable = NULL;
	} else {
		loop_fd_remove(r->k->loop, &r->source_fd);
		spend(r->k, fd_take(&r->fd));
	}
	request_connect(r, domain, port);
}

/* 0: done or more to come; -1: not what a daemon answers. */
static int check_reply(const struct request *r, uint32_t *ret_domain, uint32_t *ret_port)
{
	const uint8_t *message = r->in + QREXEC_HELLO_MESSAGE_LEN;
	struct qrexec_header header = qrexec_decode_header(r->in);
	uint32_t version = 0;

	if (r->in_len < QREXEC_HELLO_MESSAGE_LEN)
		return 0;
	if (qrexec_decode_hello(&header, r->in + QREXEC_HEADER_LEN, QREXEC_VERSION_LOCAL_MIN,
	                        &version))
		return -1;
	if (r->in_len < sizeof(r->in))
		return 0;
	header = qrexec_decode_header(message);
	if (header.type != QREXEC_EXEC_CMDLINE || header.len != QREXEC_EXEC_LEN)
		return -1;
	*ret_domain = le32_get(message + QREXEC_HEADER_LEN);
	*ret_port = le32_get(message + QREXEC_HEADER_LEN + 4);
	return *ret_domain > 0 && *ret_domain <= INT32_MAX && qrexec_port_legal(*ret_port) ? 0 : -1;
}

static void on_target_late(void *arg)
{
	request_refuse(arg, "the target's daemon did not answer in time");
}

static void read_reply(struct request *r)
{
	uint32_t domain = 0;
	uint32_t port = 0;
	bool greeted;
	ssize_t n = recv(r->fd, r->in + r->in_len, sizeof(r->in) - r->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		request_refuse(r, "the target's daemon closed the connection");
		return;
	}
	greeted = r->in_len < QREXEC_HELLO_MESSAGE_LEN;
	r->in_len += (size_t)n;
	/* Its HELLO comes at once, its answer when there is a port. */
	greeted = greeted && r->in_len >= QREXEC_HELLO_MESSAGE_LEN;
	if (greeted && loop_timer_set(r->k->loop, &r->timer, deadline_ms(LIMIT_TARGET_QUEUE_MS),
	                              on_target_late, r)) {
		request_refuse(r, "no memory");
		return;
	}
	if (check_reply(r, &domain, &port))
		request_refuse(r, "the target's daemon gave a malformed answer");
	else if (port != 0)
		connected(r, domain, port);
}

/* Returns 0, 1 if bytes are left, -1 with errno. */
static int send_out(struct request *r)
{
	ssize_t n = send(r->fd, r->out + r->out_at, r->out_len - r->out_at,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	if (n > 0)
		r->out_at += (size_t)n;
	if (r->out_at < r->out_len)
		return 1;
	free(r->out);
	r->out = NULL;
	r->out_at = r->out_len = 0;
	return 0;
}

static void on_target(void *arg, uint32_t events)
{
	struct request *r = arg;

	if (r->out && events & EPOLLOUT) {
		int left = send_out(r);

		if (left < 0) {
			request_refuse(r, "the target's daemon closed the connection");
			return;
		}
		if (left == 0)
			loop_fd_set(r->k->loop, &r->source_fd, EPOLLIN);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_reply(r);
}

/* HELLO and command in one write; the answer to both comes in one read. */
static int send_command(struct request *r)
{
	size_t command_len = strlen(r->command) + 1;
	uint8_t *p;
	int left;

	r->in_len = 0;
	r->out_at = 0;
	r->out_len = QREXEC_HELLO_MESSAGE_LEN + QREXEC_HEADER_LEN + QREXEC_EXEC_LEN + command_len;
	free(r->out);
	r->out = p = malloc(r->out_len);
	if (!p)
		return -1;
	qrexec_encode_hello(p, QREXEC_VERSION_LOCAL);
	p += QREXEC_HELLO_MESSAGE_LEN;
	qrexec_encode_header(p, QREXEC_EXEC_CMDLINE, (uint32_t)(QREXEC_EXEC_LEN + command_len));
	p += QREXEC_HEADER_LEN;
	qrexec_encode_exec(p, (uint32_t)r->k->options->xid, 0);
	memcpy(p + QREXEC_EXEC_LEN, r->command, command_len);
	left = send_out(r);
	if (left < 0)
		return -1;
	return loop_fd_add(r->k->loop, &r->source_fd, r->fd, left ? EPOLLIN | EPOLLOUT : EPOLLIN,
	                   on_target, r);
}

/* Another qube: start and connect. */

static void on_started(void *arg, const char *reply, size_t len)
{
	struct request *r = arg;

	r->qubesd = NULL;
	if (!reply || !qubesd_has_started(reply, len)) {
		request_refuse(r, "the target could not be started");
		return;
	}
	connect_target(r);
}

static void start_target(struct request *r)
{
	struct keeper *k = r->k;

	r->started = true;
	r->state = REQUEST_STARTING;
	loop_timer_clear(k->loop, &r->timer);
	trace_point(r->call, TRACE_TARGET_START, 0, r->dest);
	if (qubesd_start(k, "admin.vm.Start", r->dest, "", on_started, r, &r->qubesd))
		request_refuse(r, "the target could not be started");
}

static void on_again(void *arg)
{
	connect_target(arg);
}

static void try_again(struct request *r, uint64_t ms)
{
	if (loop_timer_set(r->k->loop, &r->again, ms, on_again, r))
		request_refuse(r, "no memory");
}

static void connect_failed(struct request *r, int error)
{
	bool absent = error == ENOENT || error == ECONNREFUSED;

	if (error == EAGAIN)
		try_again(r, ROUTE_BUSY_MS);
	else if (absent && r->started)
		try_again(r, ROUTE_ABSENT_MS);
	else if (absent && r->autostart)
		start_target(r);
	else
		request_refuse(r, absent ? "the target does not run"
		                         : "the target's daemon cannot be reached");
}

static void connect_target(struct request *r)
{
	char path[PATH_MAX];

	if (r->state != REQUEST_CONNECTING) {
		r->state = REQUEST_CONNECTING;
		if (loop_timer_set(r->k->loop, &r->timer, deadline_ms(LIMIT_TARGET_CONNECT_MS),
		                   on_target_late, r)) {
			request_refuse(r, "no memory");
			return;
		}
	}
	if (keeper_socket_path(r->k, path, sizeof(path), r->dest)) {
		request_refuse(r, "the target's name is too long");
		return;
	}
	r->fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (r->fd < 0) {
		connect_failed(r, errno);
		return;
	}
	trace_point(r->call, TRACE_TARGET_CONNECT, 0, r->dest);
	if (send_command(r))
		request_refuse(r, "the target's daemon closed the connection");
}

/* A disposable: created, then started as any other. */

static void on_created(void *arg, const char *name)
{
	struct request *r = arg;

	free(r->dest);
	r->dest = name ? strdup(name) : NULL;
	if (!name)
		r->disposable = NULL;
	if (!r->dest)
		request_refuse(r, "no disposable could be created");
	else
		start_target(r);
}

static void route_disposable(struct request *r)
{
	if (!r->autostart) {
		request_refuse(r, "a disposable without autostart");
		return;
	}
	r->state = REQUEST_STARTING;
	trace_point(r->call, TRACE_TARGET_START, 0, r->dest);
	r->disposable = disposable_create(r->k, r->dest, on_created, r);
	if (!r->disposable)
		request_refuse(r, "no disposable could be created");
}

static void route_qube(struct request *r, const struct policy_answer *a, const char *service,
                       const char *source)
{
	const char *target = a->target_uuid[0] ? a->target_uuid : a->target;
	bool disposable = strncmp(target, dispvm, sizeof(dispvm) - 1) == 0;

	if (disposable)
		target += sizeof(dispvm) - 1;
	if (asprintf(&r->command, "%s:QUBESRPC %s%s %s", a->user, service,
	             strchr(service, '+') ? "" : "+", source) < 0)
		r->command = NULL;
	r->dest = strdup(target);
	r->autostart = a->autostart;
	if (!r->command || !r->dest)
		request_refuse(r, "no memory");
	else if (!qubesd_name_legal(r->dest) || r->dest[0] == '@')
		request_refuse(r, "policy named a target that is none");
	else if (strlen(r->command) + 1 + QREXEC_EXEC_LEN > QREXEC_LOCAL_BODY_MAX)
		request_refuse(r, "the command is too long");
	else if (disposable)
		route_disposable(r);
	else
		connect_target(r);
}

void route_call(struct request *r, const struct policy_answer *answer)
{
	const char *service = answer->service[0] ? answer->service : r->name;
	const char *source = answer->policy_source[0] ? answer->policy_source : r->k->options->name;

	if (!answer_legal(answer)) {
		request_refuse(r, "policy's answer holds an illegal name");
		return;
	}
	if (strcmp(answer->target, "@adminvm") == 0 || strcmp(answer->target, "dom0") == 0 ||
	    strcmp(answer->target, dom0_uuid) == 0)
		route_dom0(r, answer, service, source);
	else
		route_qube(r, answer, service, source);
}
