/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to the QubesDB of running qubes, as clients of their local sockets. Questions are answered
 * in order; what the slice announces in between is told apart by its type. Everything read was written
 * by the qube. Contract: qdb.h. Protocol: doc/protocol/qubesdb.md.
 */
#include "services/admin/qdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/devices.h"
#include "services/admin/job.h"
#include "services/admin/start.h"

#define HEAD_LEN    72U
#define PATH_LEN    64U
#define DATA_MAX    3071U
#define QUEUE_MAX   (1U << 20) /* bytes waiting for one qube's QubesDB; chosen */
#define PAIRS_MAX   4096U      /* keys in one answer; chosen */
#define RETRIES     20         /* connections, RETRY_MS apart: the slice may be being restarted */
#define RETRY_MS    100U
#define READ_ROUNDS 16 /* reads of one connection in one turn of the loop */

enum message {
	MSG_WRITE = 1,
	MSG_MULTIREAD = 2,
	MSG_RM = 4,
	MSG_WATCH = 5,
	MSG_OK = 7,
	MSG_NOENT = 8,
	MSG_ERROR = 9,
	MSG_MULTIREAD_ANSWER = 11,
	MSG_WATCH_FIRED = 13
};

/* What an answer is waited for. */
struct asked {
	struct asked *next;
	bool multi;
	char prefix[PATH_LEN];
	struct pair *pairs; /* collected */
	size_t n_pairs;
	uint64_t deadline_ns;
	/* One of these, or neither. */
	void (*read)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n);
	void (*done)(void *arg, bool ok);
	void *arg;
};

struct qdb {
	struct qube *q; /* held */
	struct loop_fd source;
	struct loop_timer timer; /* of the next connection, or of the oldest question */
	int tries;
	struct text out;
	struct asked *first, **last;
	uint8_t in[HEAD_LEN + DATA_MAX + 1];
	size_t in_len;
	bool waiting_timer;
};

static size_t pending;

bool qdb_busy(void)
{
	return pending > 0;
}

static void asked_end(struct qdb *d, bool ok)
{
	struct asked *a = d->first;

	d->first = a->next;
	if (!d->first)
		d->last = &d->first;
	pending--;
	if (a->read)
		a->read(a->arg, ok, a->pairs, a->n_pairs);
	if (a->done)
		a->done(a->arg, ok);
	pairs_free(&a->pairs, &a->n_pairs);
	free(a);
}

static void forget(struct qdb *d)
{
	int fd = d->source.fd;

	loop_fd_remove(job_loop(), &d->source);
	fd_close(fd);
	loop_timer_clear(job_loop(), &d->timer);
	while (d->first)
		asked_end(d, false);
	text_free(&d->out);
	qube_release(d->q);
	free(d);
}

static void lost(struct qdb *d, const char *why)
{
	LOG("QubesDB of %s: %s", d->q->name, why);
	if (d->q->qdb == d)
		d->q->qdb = NULL;
	forget(d);
}

static void on_deadline(void *arg)
{
	struct qdb *d = arg;

	d->waiting_timer = false;
	if (!d->first)
		return;
	if (loop_now_ns() >= d->first->deadline_ns) {
		lost(d, "does not answer in time");
		return;
	}
	d->waiting_timer = loop_timer_set(job_loop(), &d->timer, 100, on_deadline, d) == 0;
}

static bool flush(struct qdb *d)
{
	ssize_t n;

	if (d->source.fd < 0)
		return true;
	while (d->out.len > 0) {
		n = send(d->source.fd, d->out.data, d->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			lost(d, strerror(errno));
			return false;
		}
		memmove(d->out.data, d->out.data + n, d->out.len - (size_t)n);
		d->out.len -= (size_t)n;
	}
	loop_fd_set(job_loop(), &d->source, d->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/* Queues a message; the answer's place in the order is kept. NULL: it cannot be asked. */
static struct asked *ask(struct qdb *d, enum message type, const char *path, const char *value)
{
	size_t len = value ? strlen(value) : 0, path_len = strlen(path);
	uint8_t head[HEAD_LEN] = {(uint8_t)type};
	struct asked *a;

	if (path_len >= PATH_LEN || len > DATA_MAX || d->out.len > QUEUE_MAX) {
		LOG("QubesDB of %s: %s is too long, or too much waits", d->q->name, path);
		return NULL;
	}
	memcpy(head + 1, path, path_len);
	le32_put(head + 68, (uint32_t)len);
	text_add(&d->out, head, sizeof(head));
	text_add(&d->out, value ? value : "", len);
	a = memory_get(sizeof(*a));
	a->multi = type == MSG_MULTIREAD;
	memcpy(a->prefix, path, path_len);
	a->deadline_ns = loop_now_ns() + QDB_WAIT_MS * 1000000ULL;
	*d->last = a;
	d->last = &a->next;
	pending++;
	if (!d->waiting_timer && d->source.fd >= 0)
		d->waiting_timer = loop_timer_set(job_loop(), &d->timer, 100, on_deadline, d) == 0;
	return a;
}

/* One whole message; false: the connection is gone. */
static bool take(struct qdb *d, uint8_t type, const char *path, const char *data, size_t len)
{
	struct asked *a = d->first;

	if (type == MSG_WATCH_FIRED) {
		devices_watch_fired(d->q, path);
		return d->q->qdb == d;
	}
	if (!a) {
		lost(d, "answers what nobody asked");
		return false;
	}
	if (a->multi && type == MSG_MULTIREAD_ANSWER && path[0]) {
		/* Values are bytes without NUL; a key that does not begin as asked is left out. */
		if (a->n_pairs < PAIRS_MAX && text_starts(path, a->prefix) && strlen(data) == len)
			pairs_set(&a->pairs, &a->n_pairs, path + strlen(a->prefix), data);
		return true;
	}
	asked_end(d, type != MSG_ERROR);
	return true;
}

/* Whole messages at the start of what came. */
static bool take_all(struct qdb *d)
{
	while (d->in_len >= HEAD_LEN) {
		uint32_t len = le32_get(d->in + 68);
		size_t total = HEAD_LEN + (size_t)len;
		char path[PATH_LEN + 1], data[DATA_MAX + 1];
		uint8_t type = d->in[0];
		struct qube *q = d->q;

		if (len > DATA_MAX) {
			lost(d, "sends a message that is too long");
			return false;
		}
		if (d->in_len < total)
			return true;
		memcpy(path, d->in + 1, PATH_LEN);
		path[PATH_LEN] = 0;
		memcpy(data, d->in + HEAD_LEN, len);
		data[len] = 0;
		memmove(d->in, d->in + total, d->in_len - total);
		d->in_len -= total;
		qube_hold(q);
		if (!take(d, type, path, data, len) || q->qdb != d) {
			qube_release(q);
			return false;
		}
		qube_release(q);
	}
	return true;
}

static void on_qdb(void *arg, uint32_t events)
{
	struct qdb *d = arg;
	int i;

	if (events & EPOLLOUT && !flush(d))
		return;
	for (i = 0; i < READ_ROUNDS; i++) {
		ssize_t n = recv(d->source.fd, d->in + d->in_len, sizeof(d->in) - 1 - d->in_len,
		                 MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			lost(d, n < 0 ? strerror(errno) : "ended");
			return;
		}
		d->in_len += (size_t)n;
		if (!take_all(d))
			return;
	}
}

static void on_connect(void *arg)
{
	struct qdb *d = arg;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/qubesdb.%s.sock",
	         start_run_fd(), d->q->name);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    loop_fd_add(job_loop(), &d->source, fd, EPOLLIN, on_qdb, d) == 0) {
		d->waiting_timer =
		        d->first && loop_timer_set(job_loop(), &d->timer, 100, on_deadline, d) == 0;
		flush(d);
		return;
	}
	fd_close(fd);
	if (++d->tries >= RETRIES || loop_timer_set(job_loop(), &d->timer, RETRY_MS, on_connect, d))
		lost(d, "its socket takes no connection");
}

void qdb_open(struct qube *q)
{
	struct qdb *d;

	qdb_close(q);
	if (start_run_fd() < 0)
		return;
	d = memory_get(sizeof(*d));
	d->q = qube_hold(q);
	d->source = (struct loop_fd)LOOP_FD_EMPTY;
	d->last = &d->first;
	q->qdb = d;
	on_connect(d);
}

void qdb_close(struct qube *q)
{
	struct qdb *d = q->qdb;

	q->qdb = NULL;
	if (d)
		forget(d);
}

static void send_one(struct qube *q, enum message type, const char *path, const char *value)
{
	if (q->qdb && ask(q->qdb, type, path, value))
		flush(q->qdb);
}

void qdb_write(struct qube *q, const char *key, const char *value)
{
	send_one(q, MSG_WRITE, key, value);
}

void qdb_remove(struct qube *q, const char *key)
{
	send_one(q, MSG_RM, key, NULL);
}

void qdb_watch(struct qube *q, const char *path)
{
	send_one(q, MSG_WATCH, path, NULL);
}

void qdb_sync(struct qube *q, void (*fn)(void *arg, bool ok), void *arg)
{
	/* Answers come in order: when this one is here all before it were taken. */
	struct asked *a = q->qdb ? ask(q->qdb, MSG_MULTIREAD, "/name", NULL) : NULL;

	if (!a) {
		fn(arg, false);
		return;
	}
	a->done = fn;
	a->arg = arg;
	flush(q->qdb);
}

void qdb_read_all(struct qube *q, const char *prefix,
                  void (*fn)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n),
                  void *arg)
{
	struct asked *a = q->qdb ? ask(q->qdb, MSG_MULTIREAD, prefix, NULL) : NULL;

	if (!a) {
		fn(arg, false, NULL, 0);
		return;
	}
	a->read = fn;
	a->arg = arg;
	flush(q->qdb);
}
