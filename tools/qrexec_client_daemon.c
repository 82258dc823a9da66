/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local protocol of a qube's daemon, client side. The daemon is trusted; its bytes are bounded
 * and checked all the same, because the program behind a socket's name can be any.
 */
#include "tools/qrexec_client_daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/limits.h"
#include "proto/qrexec.h"

#define ANSWER_LEN       (QREXEC_HEADER_LEN + QREXEC_EXEC_LEN)
#define CONNECT_RETRY_MS 2 /* the daemon's queue of connections is full; chosen */

enum link_state {
	LINK_HELLO,   /* waiting for the daemon's HELLO */
	LINK_SENDING, /* our HELLO and the command */
	LINK_ANSWER,  /* waiting for the port */
	LINK_RUNNING, /* waiting for the end */
};

struct daemon_link {
	struct loop *loop;
	struct loop_fd source;
	struct loop_timer deadline;
	struct loop_timer retry;
	enum link_state state;
	int sock;
	char path[PATH_MAX];
	uint32_t type;
	bool wants_answer;
	void (*done)(void *arg, int r, int domain, int port);
	void (*closed)(void *arg);
	void *arg;
	uint8_t untrusted_in[ANSWER_LEN];
	size_t in_len;
	size_t sent;
	size_t out_len;
	uint8_t out[]; /* our HELLO, then the command */
};

static void fail(struct daemon_link *link, const char *why)
{
	LOG("daemon at %s: %s", link->path, why);
	loop_fd_remove(link->loop, &link->source);
	loop_timer_clear(link->loop, &link->deadline);
	loop_timer_clear(link->loop, &link->retry);
	link->done(link->arg, -1, 0, 0);
}

static void on_deadline(void *arg)
{
	fail(arg, "no answer in time");
}

/*
 * More of the bytes that the state waits for. 1: @len are there; 0: not yet; -1: reported as failed.
 */
static int receive(struct daemon_link *link, size_t len)
{
	ssize_t n = read(link->sock, link->untrusted_in + link->in_len, len - link->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		fail(link, "closed the connection");
		return -1;
	}
	link->in_len += (size_t)n;
	if (link->in_len < len)
		return 0;
	link->in_len = 0;
	return 1;
}

static void take_hello(struct daemon_link *link)
{
	struct qrexec_header header;
	uint32_t version;

	if (receive(link, QREXEC_HELLO_MESSAGE_LEN) != 1)
		return;
	header = qrexec_decode_header(link->untrusted_in);
	if (qrexec_decode_hello(&header, link->untrusted_in + QREXEC_HEADER_LEN,
	                        QREXEC_VERSION_LOCAL_MIN, &version) != QREXEC_OK) {
		fail(link, "its greeting is not of this protocol");
		return;
	}
	link->state = LINK_SENDING;
	loop_fd_set(link->loop, &link->source, EPOLLOUT);
}

static void begin_running(struct daemon_link *link, int domain, int port)
{
	link->state = LINK_RUNNING;
	loop_timer_clear(link->loop, &link->deadline);
	loop_fd_set(link->loop, &link->source, EPOLLIN);
	link->done(link->arg, 0, domain, port);
}

static void send_command(struct daemon_link *link)
{
	ssize_t n =
	        send(link->sock, link->out + link->sent, link->out_len - link->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail(link, "closed the connection before the command");
		return;
	}
	link->sent += (size_t)n;
	if (link->sent < link->out_len)
		return;
	if (link->wants_answer) {
		link->state = LINK_ANSWER;
		loop_fd_set(link->loop, &link->source, EPOLLIN);
	} else {
		begin_running(link, 0, 0);
	}
}

static void take_answer(struct daemon_link *link)
{
	struct qrexec_header header;
	uint32_t untrusted_domain;
	uint32_t untrusted_port;

	if (receive(link, ANSWER_LEN) != 1)
		return;
	header = qrexec_decode_header(link->untrusted_in);
	untrusted_domain = le32_get(link->untrusted_in + QREXEC_HEADER_LEN);
	untrusted_port = le32_get(link->untrusted_in + QREXEC_HEADER_LEN + 4);
	if (header.type != link->type || header.len != QREXEC_EXEC_LEN ||
	    untrusted_domain > INT_MAX || untrusted_port < 1 || untrusted_port > INT_MAX) {
		fail(link, "its answer is not of this protocol");
		return;
	}
	begin_running(link, (int)untrusted_domain, (int)untrusted_port);
}

static void take_end(struct daemon_link *link)
{
	uint8_t sink[256];
	ssize_t n = read(link->sock, sink, sizeof(sink));

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	loop_fd_remove(link->loop, &link->source);
	if (link->closed)
		link->closed(link->arg);
}

static void on_daemon(void *arg, uint32_t events)
{
	struct daemon_link *link = arg;

	switch (link->state) {
	case LINK_HELLO:
		take_hello(link);
		return;
	case LINK_SENDING:
		send_command(link);
		return;
	case LINK_ANSWER:
		take_answer(link);
		return;
	case LINK_RUNNING:
		take_end(link);
		return;
	}
}

static int connect_daemon(struct daemon_link *link);

static void on_retry(void *arg)
{
	struct daemon_link *link = arg;

	if (connect_daemon(link))
		fail(link, strerror(errno));
}

static int connect_daemon(struct daemon_link *link)
{
	link->sock = fd_connect_unix(link->path, SOCK_STREAM | SOCK_NONBLOCK);
	if (link->sock < 0 && errno == EAGAIN)
		return loop_timer_set(link->loop, &link->retry, CONNECT_RETRY_MS, on_retry, link);
	if (link->sock < 0)
		return -1;
	return loop_fd_add(link->loop, &link->source, link->sock, EPOLLIN, on_daemon, link);
}

/* The name becomes a file's name in one folder: it must not lead elsewhere. */
static int make_path(struct daemon_link *link, const struct daemon_command *command)
{
	int n;

	if (command->name[0] == '\0' || strchr(command->name, '/')) {
		errno = EINVAL;
		return -1;
	}
	n = snprintf(link->path, sizeof(link->path), "%s/qrexec.%s", command->socket_dir,
	             command->name);
	if (n < 0 || (size_t)n >= sizeof(link->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static void fill_out(struct daemon_link *link, const struct daemon_command *command)
{
	uint8_t *message = link->out + QREXEC_HELLO_MESSAGE_LEN;

	qrexec_encode_hello(link->out, QREXEC_VERSION_LOCAL);
	qrexec_encode_header(message, command->type,
	                     (uint32_t)(QREXEC_EXEC_LEN + command->body_len));
	qrexec_encode_exec(message + QREXEC_HEADER_LEN, command->domain, command->port);
	memcpy(message + QREXEC_HEADER_LEN + QREXEC_EXEC_LEN, command->body, command->body_len);
}

int daemon_link_start(struct loop *loop, const struct daemon_command *command,
                      struct daemon_link **ret_link)
{
	size_t out_len = QREXEC_HELLO_MESSAGE_LEN + QREXEC_HEADER_LEN + QREXEC_EXEC_LEN;
	struct daemon_link *link;

	if (command->body_len < 1 || command->body_len > QREXEC_LOCAL_BODY_MAX - QREXEC_EXEC_LEN) {
		errno = EMSGSIZE;
		return -1;
	}
	out_len += command->body_len;
	link = calloc(1, sizeof(*link) + out_len);
	if (!link)
		return -1;
	link->loop = loop;
	link->source = (struct loop_fd)LOOP_FD_EMPTY;
	link->sock = -1;
	link->type = command->type;
	link->wants_answer = command->port == 0;
	link->done = command->done;
	link->closed = command->closed;
	link->arg = command->arg;
	link->out_len = out_len;
	fill_out(link, command);
	if (make_path(link, command) || connect_daemon(link) ||
	    loop_timer_set(loop, &link->deadline, LIMIT_TARGET_CONNECT_MS, on_deadline, link)) {
		(void)daemon_link_free(link);
		return -1;
	}
	*ret_link = link;
	return 0;
}

struct daemon_link *daemon_link_free(struct daemon_link *link)
{
	int saved_errno = errno;

	if (!link)
		return NULL;
	loop_fd_remove(link->loop, &link->source);
	loop_timer_clear(link->loop, &link->deadline);
	loop_timer_clear(link->loop, &link->retry);
	(void)fd_close(link->sock);
	free(link);
	errno = saved_errno;
	return NULL;
}
