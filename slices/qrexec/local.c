/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/trace/trace.h"
#include "slices/qrexec/request.h"
#include "slices/qrexec/slice_link.h"

#define LOCAL_BACKLOG    1024 /* connections not accepted yet; chosen */
#define LOCAL_ACCEPT_MAX 32   /* accepted a turn; chosen */
#define LOCAL_AGAIN_MS   50   /* pause when there is no descriptor; chosen */
#define LOCAL_IN_MAX     (QREXEC_HELLO_MESSAGE_LEN + QREXEC_HEADER_LEN + QREXEC_LOCAL_BODY_MAX)
#define LOCAL_REPLY_LEN  (QREXEC_HEADER_LEN + QREXEC_EXEC_LEN)

enum client_state {
	CLIENT_HELLO, /* our HELLO is out or goes with the next write; theirs has not come */
	CLIENT_COMMAND,
	CLIENT_WAITING, /* the command is complete and waits for a port */
	CLIENT_RUNNING,
};

struct client {
	struct keeper *k;
	struct client *next;
	struct client **place;
	int fd;
	struct loop_fd source;
	struct loop_timer timer; /* until the command is complete, and for the port */
	struct port_wait wait;
	uint64_t waits_ms; /* WAITING: since */
	enum client_state state;
	bool greeted;    /* our HELLO was sent */
	uint32_t domain; /* RUNNING with a port of ours: whose end closes it */
	uint32_t port;   /* 0: none */
	uint8_t *in;     /* bytes that wait for more; NULL: none */
	size_t in_len;
};

static void client_free(struct client *c)
{
	struct keeper *k = c->k;

	if (c->port)
		ports_disown(&k->ports, c->domain, c->port);
	ports_wait_clear(&c->wait);
	loop_timer_clear(k->loop, &c->timer);
	loop_fd_remove(k->loop, &c->source);
	(void)fd_close(c->fd);
	*c->place = c->next;
	if (c->next)
		c->next->place = c->place;
	k->local.n_clients--;
	free(c->in);
	free(c);
}

static void on_deadline(void *arg)
{
	struct client *c = arg;
	uint64_t left_ms = 0;

	if (c->state == CLIENT_WAITING)
		left_ms = keeper_port_wait_ms(c->k, c->domain, c->waits_ms);
	if (left_ms > 0 && loop_timer_set(c->k->loop, &c->timer, left_ms, on_deadline, c) == 0)
		return;
	if (c->state == CLIENT_WAITING)
		LOG("no port for domain %u became free: refused", c->domain);
	else
		LOG("a local client did not finish its command: closed");
	client_free(c);
}

/* What is written to a client is far smaller than its socket's buffer: what does not fit is an end. */
static int reply(struct client *c, const uint8_t *data, size_t len)
{
	uint8_t out[QREXEC_HELLO_MESSAGE_LEN + LOCAL_REPLY_LEN];
	size_t n = 0;

	if (!c->greeted) {
		qrexec_encode_hello(out, QREXEC_VERSION_LOCAL);
		n = QREXEC_HELLO_MESSAGE_LEN;
		c->greeted = true;
	}
	if (len > 0)
		memcpy(out + n, data, len);
	n += len;
	if (n == 0)
		return 0;
	return send(c->fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -1;
}

/* Commands. */

/* "DEFAULT:" becomes the default user; the rest, with its NULs, stays as it is. */
static int forward(struct client *c, const struct qrexec_header *header,
                   const struct qrexec_exec *exec, uint32_t port)
{
	static const char keyword[] = "DEFAULT:";
	static char replaced[KEEPER_COMMAND_MAX];
	struct keeper *k = c->k;
	struct keeper_command command = {
	        .type = header->type,
	        .domain = exec->domain,
	        .port = port,
	        .call = trace_call_id((uint32_t)k->options->xid, exec->domain, port),
	        .command = exec->command,
	        .command_len = (uint32_t)exec->command_len,
	};

	if (header->type != QREXEC_SERVICE_CONNECT && exec->command_len >= sizeof(keyword) &&
	    memcmp(exec->command, keyword, sizeof(keyword) - 1) == 0) {
		size_t user_len = strlen(k->options->user);
		size_t rest = exec->command_len - (sizeof(keyword) - 2); /* from the colon */

		memcpy(replaced, k->options->user, user_len);
		memcpy(replaced + user_len, exec->command + sizeof(keyword) - 2, rest);
		command.command = replaced;
		command.command_len = (uint32_t)(user_len + rest);
	}
	return slice_link_command(k, &command);
}

/* 1: no port now. */
static int allocate(struct client *c, const struct qrexec_header *header,
                    const struct qrexec_exec *exec)
{
	struct keeper *k = c->k;
	uint8_t out[LOCAL_REPLY_LEN];
	uint32_t port = 0;

	if (ports_take(&k->ports, exec->domain, keeper_now_ms(), c, &port))
		return 1;
	qrexec_encode_header(out, header->type, QREXEC_EXEC_LEN);
	qrexec_encode_exec(out + QREXEC_HEADER_LEN, (uint32_t)k->options->xid, port);
	c->domain = exec->domain;
	c->port = port;
	if (reply(c, out, sizeof(out)) || forward(c, header, exec, port)) {
		c->port = 0;
		(void)ports_release(&k->ports, exec->domain, port, keeper_now_ms(), NULL);
		return -1;
	}
	return 0;
}

/* 0: done; 1: wait for a port; -1: close. */
static int handle_command(struct client *c, const struct qrexec_header *header, const uint8_t *body)
{
	struct keeper *k = c->k;
	struct qrexec_exec exec = {0};

	if (qrexec_decode_exec(header, body, &exec)) {
		LOG("a local client sent a malformed command: closed");
		return -1;
	}
	if (header->type == QREXEC_SERVICE_CONNECT && c->state != CLIENT_WAITING &&
	    request_connected(k, exec.command, exec.command_len)) {
		LOG("SERVICE_CONNECT for a request that does not wait: closed");
		return -1;
	}
	if (exec.port == 0)
		return allocate(c, header, &exec);
	if (!qrexec_port_legal(exec.port)) {
		LOG("a local client asked for port %u: closed", exec.port);
		return -1;
	}
	if (header->type != QREXEC_SERVICE_CONNECT)
		LOG("a local client brought its own port %u", exec.port);
	return forward(c, header, &exec, exec.port) || reply(c, NULL, 0) ? -1 : 0;
}

static void on_port(void *arg);

static int enter_running(struct client *c)
{
	c->state = CLIENT_RUNNING;
	loop_timer_clear(c->k->loop, &c->timer);
	return 0;
}

/* The command stays in c->in meanwhile. */
static int wait_for_port(struct client *c, const uint8_t *body)
{
	struct keeper *k = c->k;

	c->state = CLIENT_WAITING;
	c->domain = le32_get(body);
	if (c->waits_ms == 0)
		c->waits_ms = keeper_now_ms();
	if (ports_wait(&k->ports, c->domain, &c->wait, on_port, c))
		return -1;
	return loop_timer_set(k->loop, &c->timer, deadline_ms(LIMIT_PORT_WAIT_MS), on_deadline, c);
}

/* Messages. */

/**
 * take_message() - one message from the front of data
 * @ret_used:  its bytes; 0: not complete
 * Errors: 0; 1: waits for a port, the message must be kept; -1: close.
 */
static int take_message(struct client *c, const uint8_t *data, size_t len, size_t *ret_used)
{
	struct qrexec_header header;
	uint32_t version = 0;
	int r;

	*ret_used = 0;
	if (len < QREXEC_HEADER_LEN)
		return 0;
	header = qrexec_decode_header(data);
	if (c->state == CLIENT_HELLO) {
		if (header.type != QREXEC_HELLO || header.len != QREXEC_HELLO_LEN)
			return -1;
		if (len < QREXEC_HELLO_MESSAGE_LEN)
			return 0;
		if (qrexec_decode_hello(&header, data + QREXEC_HEADER_LEN, QREXEC_VERSION_LOCAL_MIN,
		                        &version))
			return -1;
		c->state = CLIENT_COMMAND;
		*ret_used = QREXEC_HELLO_MESSAGE_LEN;
		return 0;
	}
	if (header.type < QREXEC_EXEC_CMDLINE || header.type > QREXEC_SERVICE_CONNECT ||
	    header.len <= QREXEC_EXEC_LEN || header.len > QREXEC_LOCAL_BODY_MAX) {
		LOG("a local client sent type 0x%x, length %u: closed", header.type, header.len);
		return -1;
	}
	if (len - QREXEC_HEADER_LEN < header.len)
		return 0;
	r = handle_command(c, &header, data + QREXEC_HEADER_LEN);
	if (r == 0)
		r = enter_running(c);
	else if (r > 0)
		r = wait_for_port(c, data + QREXEC_HEADER_LEN) ? -1 : 1;
	*ret_used = QREXEC_HEADER_LEN + header.len;
	return r;
}

static int keep_bytes(struct client *c, const uint8_t *data, size_t len)
{
	uint8_t *kept = NULL;

	if (len > 0) {
		kept = malloc(len);
		if (!kept)
			return -1;
		memcpy(kept, data, len);
	}
	free(c->in);
	c->in = kept;
	c->in_len = len;
	return 0;
}

static int handle_bytes(struct client *c, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (c->state < CLIENT_WAITING && at < len) {
		size_t used = 0;
		int r = take_message(c, data + at, len - at, &used);

		if (r < 0)
			return -1;
		if (r > 0 || used == 0)
			break;
		at += used;
	}
	if (c->state == CLIENT_RUNNING && at < len) {
		LOG("a local client sent %zu bytes more than its command: closed", len - at);
		return -1;
	}
	return keep_bytes(c, data + at, len - at);
}

static void on_port(void *arg)
{
	struct client *c = arg;
	struct qrexec_header header = qrexec_decode_header(c->in);
	int r = handle_command(c, &header, c->in + QREXEC_HEADER_LEN);

	if (r > 0)
		r = wait_for_port(c, c->in + QREXEC_HEADER_LEN);
	else if (r == 0)
		r = enter_running(c);
	if (r == 0 && c->state == CLIENT_RUNNING) {
		if (QREXEC_HEADER_LEN + header.len < c->in_len)
			r = -1;
		else
			r = keep_bytes(c, NULL, 0);
	}
	if (r < 0)
		client_free(c);
}

/* Reading. Returns -1 when the client must go. */
static int read_client(struct client *c, bool *ret_empty)
{
	static uint8_t in[LOCAL_IN_MAX + 1];
	ssize_t n;

	*ret_empty = false;
	if (c->in_len >= LOCAL_IN_MAX)
		return -1;
	if (c->in_len > 0)
		memcpy(in, c->in, c->in_len);
	n = recv(c->fd, in + c->in_len, sizeof(in) - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		*ret_empty = true;
		return 0;
	}
	if (n <= 0)
		return -1;
	if (c->state == CLIENT_RUNNING)
		LOG("a local client sent data after its command: closed");
	if (c->state >= CLIENT_WAITING)
		return -1;
	return handle_bytes(c, in, c->in_len + (size_t)n);
}

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;
	bool empty;

	(void)events;
	if (read_client(c, &empty))
		client_free(c);
}

static struct client *client_new(struct keeper *k, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)fd_close(fd);
		return NULL;
	}
	c->k = k;
	c->fd = fd;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	c->next = k->local.clients;
	c->place = &k->local.clients;
	if (c->next)
		c->next->place = &c->next;
	k->local.clients = c;
	k->local.n_clients++;
	return c;
}

/*
 * Another keeper has HELLO and command in its first write, before it is accepted: both are answered
 * at once with one write. Who waits for our HELLO first gets it.
 */
static void admit(struct keeper *k, int fd)
{
	struct client *c = client_new(k, fd);
	bool empty;

	if (!c)
		return;
	if (read_client(c, &empty) || (!c->greeted && reply(c, NULL, 0)) ||
	    loop_fd_add(k->loop, &c->source, fd, EPOLLIN, on_client, c)) {
		client_free(c);
		return;
	}
	if (c->state < CLIENT_WAITING &&
	    loop_timer_set(k->loop, &c->timer, deadline_ms(LIMIT_LOCAL_HELLO_MS), on_deadline, c))
		client_free(c);
}

static void on_again(void *arg)
{
	struct keeper *k = arg;

	loop_fd_set(k->loop, &k->local.source, EPOLLIN);
}

static void on_listener(void *arg, uint32_t events)
{
	struct keeper *k = arg;

	(void)events;
	for (int i = 0; i < LOCAL_ACCEPT_MAX && k->local.fd >= 0; i++) {
		int fd = accept4(k->local.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
				LOG_ERRNO("local connections wait");
				loop_fd_set(k->loop, &k->local.source, 0);
				if (loop_timer_set(k->loop, &k->local.again, LOCAL_AGAIN_MS,
				                   on_again, k))
					on_again(k);
			}
			return;
		}
		if (k->local.n_clients >= LIMIT_LOCAL_CLIENTS) {
			LOG("more than %u local connections: refused", LIMIT_LOCAL_CLIENTS);
			(void)fd_close(fd);
			continue;
		}
		admit(k, fd);
	}
}

/* Socket and names. */

static int make_link(const struct keeper *k, const char *name, const char *target)
{
	char path[PATH_MAX];

	if (keeper_socket_path(k, path, sizeof(path), name))
		return -1;
	if (unlink(path) && errno != ENOENT)
		return -1;
	return symlink(target, path);
}

static void remove_name(const struct keeper *k, const char *name)
{
	char path[PATH_MAX];

	if (keeper_socket_path(k, path, sizeof(path), name) == 0 && unlink(path) && errno != ENOENT)
		LOG_ERRNO("unlink %s", path);
}

static void make_names(const struct keeper *k, char xid[16], char uuid[48])
{
	(void)snprintf(xid, 16, "%d", k->options->xid);
	(void)snprintf(uuid, 48, "uuid:%s", k->options->uuid);
}

int local_open(struct keeper *k)
{
	char path[PATH_MAX];
	char target[32];
	char xid[16];
	char uuid[48];

	make_names(k, xid, uuid);
	(void)snprintf(target, sizeof(target), "qrexec.%s", xid);
	if (keeper_socket_path(k, path, sizeof(path), xid))
		return -1;
	k->local.fd = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, 0777, LOCAL_BACKLOG);
	if (k->local.fd < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	if (loop_fd_add(k->loop, &k->local.source, k->local.fd, EPOLLIN, on_listener, k) ||
	    make_link(k, uuid, target) || make_link(k, k->options->name, target)) {
		LOG_ERRNO("names of %s", path);
		local_close(k);
		return -1;
	}
	return 0;
}

void local_close(struct keeper *k)
{
	char xid[16];
	char uuid[48];

	if (k->local.fd < 0)
		return;
	make_names(k, xid, uuid);
	remove_name(k, k->options->name);
	remove_name(k, uuid);
	remove_name(k, xid);
	loop_timer_clear(k->loop, &k->local.again);
	loop_fd_remove(k->loop, &k->local.source);
	k->local.fd = fd_close(k->local.fd);
	while (k->local.clients)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): client_free() unlinks it */
		client_free(k->local.clients);
}

void local_terminated(struct keeper *k, void *owner)
{
	struct client *c = owner;

	(void)k;
	c->port = 0;
	client_free(c);
}
