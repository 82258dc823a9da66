/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of clients. Contract: conn.h. */
#include "services/admin/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/events.h"

struct conn {
	enum door door;
	struct loop_fd source;
	struct loop_timer timer;
	struct call *call;
	char *in;
	size_t in_len, in_room;
	struct text out;
	size_t out_at;
	bool last;   /* close when out is written */
	bool stream; /* events */
	bool lost;   /* put out: only a farewell is left */
	void (*closed)(void *arg);
	void *closed_arg;
};

static struct {
	struct loop *loop;
	struct loop_fd doors[DOORS];
	size_t n;
} conns = {.doors = {LOOP_FD_EMPTY, LOOP_FD_EMPTY, LOOP_FD_EMPTY}};

size_t conn_count(void)
{
	return conns.n;
}

static void pause_doors(bool pause)
{
	size_t i;

	for (i = 0; i < DOORS; i++)
		if (conns.doors[i].fd >= 0)
			loop_fd_set(conns.loop, &conns.doors[i], pause ? 0 : EPOLLIN);
}

static void conn_close(struct conn *c)
{
	int fd = c->source.fd;

	loop_fd_remove(conns.loop, &c->source);
	loop_timer_clear(conns.loop, &c->timer);
	fd_close(fd);
	if (c->call)
		c->call->conn = NULL;
	if (c->closed)
		c->closed(c->closed_arg);
	free(c->in);
	text_free(&c->out);
	free(c);
	if (conns.n-- == CONN_MAX)
		pause_doors(false);
}

void conn_set_call(struct conn *conn, struct call *c)
{
	conn->call = c;
}

/* Writes what the socket takes; false: the connection is gone. */
static bool conn_write(struct conn *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = send(c->source.fd, c->out.data + c->out_at, c->out.len - c->out_at,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_fd_set(conns.loop, &c->source, EPOLLOUT);
			return true;
		}
		if (n < 0) {
			conn_close(c);
			return false;
		}
		c->out_at += (size_t)n;
	}
	if (c->last) {
		conn_close(c);
		return false;
	}
	text_clear(&c->out);
	c->out_at = 0;
	loop_fd_set(conns.loop, &c->source, 0);
	return true;
}

void conn_reply(struct conn *conn, const struct text *bytes)
{
	if (conn->call)
		conn->call->conn = NULL;
	conn->call = NULL;
	text_add(&conn->out, text_get(bytes), bytes->len);
	conn->last = true;
	conn_write(conn);
}

void conn_stream(struct conn *conn, void (*closed)(void *arg), void *arg)
{
	conn->stream = true;
	conn->closed = closed;
	conn->closed_arg = arg;
}

void conn_push(struct conn *conn, const void *bytes, size_t len)
{
	static const char lost[] = "1\0\0events-lost\0";

	if (conn->lost)
		return;
	if (conn->out.len - conn->out_at + len > CONN_STREAM_QUEUE) {
		LOG("a subscriber to events does not read: it is put out");
		conn->lost = conn->last = true;
		bytes = lost;
		len = sizeof(lost);
	}
	/* What was written is dropped before the queue grows, not for each event. */
	if (conn->out_at > 65536) {
		memmove(conn->out.data, conn->out.data + conn->out_at,
		        conn->out.len - conn->out_at);
		conn->out.len -= conn->out_at;
		conn->out_at = 0;
	}
	text_add(&conn->out, bytes, len);
	conn_write(conn);
}

static void conn_request(struct conn *c)
{
	struct request r;
	char *in = c->in;
	enum request_verdict verdict = REQUEST_CLOSE;

	loop_timer_clear(conns.loop, &c->timer);
	if (in)
		verdict = request_decode(in, c->in_len, &r);
	if (verdict == REQUEST_CLOSE) {
		conn_close(c);
		return;
	}
	if (verdict == REQUEST_REFUSED) {
		struct fault f;
		AUTO_TEXT frame = {0};

		fault_set(&f, E_PROTOCOL, "request contains non-ASCII characters");
		reply_exception(&frame, &f);
		conn_reply(c, &frame);
		return;
	}
	/* The connection may be gone when the call returns: its bytes must not be. */
	c->in = NULL;
	loop_fd_set(conns.loop, &c->source, 0);
	call_run(c->door, &r, c);
	free(in);
}

static void conn_read(struct conn *c)
{
	ssize_t n;

	if (c->in_len + 4096 > c->in_room) {
		size_t room = c->in_room ? MIN(c->in_room * 4, (size_t)REQUEST_MAX + 4098) : 4352;

		c->in = memory_resize(c->in, room, 1);
		c->in_room = room;
	}
	/* One byte beyond the limit is enough to know; one more is left for a NUL. */
	n = recv(c->source.fd, c->in + c->in_len,
	         MIN(c->in_room - c->in_len - 1, (size_t)REQUEST_MAX + 1 - c->in_len),
	         MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->in_len += (size_t)n;
	if (c->in_len > REQUEST_MAX)
		conn_close(c);
	else if (n == 0)
		conn_request(c);
}

static void on_conn(void *arg, uint32_t events)
{
	struct conn *c = arg;

	if (c->out.len > c->out_at) {
		conn_write(c);
	} else if (c->call || c->stream) {
		/* Both directions are closed: the client is gone. Its call goes on. */
		conn_close(c);
	} else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		conn_read(c);
	}
}

static void on_timeout(void *arg)
{
	conn_close(arg);
}

static void on_door(void *arg, uint32_t events)
{
	enum door door = (enum door)(uintptr_t)arg;
	int fd = accept4(conns.doors[door].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			LOG_ERRNO("a connection cannot be taken");
		return;
	}
	c = memory_get(sizeof(*c));
	c->door = door;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	if (loop_fd_add(conns.loop, &c->source, fd, EPOLLIN, on_conn, c) ||
	    loop_timer_set(conns.loop, &c->timer, CONN_REQUEST_MS, on_timeout, c)) {
		LOG_ERRNO("a connection cannot be taken");
		loop_fd_remove(conns.loop, &c->source);
		fd_close(fd);
		free(c);
		return;
	}
	if (++conns.n == CONN_MAX)
		pause_doors(true);
}

int conn_listen(struct loop *loop, enum door door, int fd)
{
	conns.loop = loop;
	return loop_fd_add(loop, &conns.doors[door], fd, EPOLLIN, on_door, (void *)(uintptr_t)door);
}
