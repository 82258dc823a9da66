/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/channels/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/vchan/broker.h"
#include "proto/limits.h"

#define BUCKETS      4096U /* power of two; chosen */
#define BACKLOG      1024  /* connections that wait to be accepted; chosen */
#define ACCEPTS_TURN 16    /* of one domain; chosen, so that the others have their turn */
#define PAUSE_MS     50    /* without a free descriptor; chosen */

struct wish {
	struct wish *next; /* in its bucket, older ones later; only once the question is known */
	struct wish **at;  /* NULL: not in a bucket */
	struct wish *next_of_owner, **at_owner;
	struct domain *owner;
	struct loop_fd source; /* the connection, owned */
	bool listens;
	uint32_t server, client, port;
};

struct domain {
	struct domain *next;
	struct broker *broker;
	struct loop_fd listener; /* owned */
	struct wish *wishes;
	uint32_t n_wishes;
	uint32_t domid;
	struct log_limit log_limit;
};

struct broker {
	struct loop *loop;
	struct domain *domains;
	struct loop_timer pause; /* no descriptor was free: nobody is accepted until then */
	uint64_t seed;           /* so that no domain can choose its bucket */
	struct wish *buckets[BUCKETS];
};

static struct wish **bucket_of(struct broker *b, uint32_t server, uint32_t client, uint32_t port)
{
	uint64_t h = b->seed ^ ((uint64_t)server << 48 | (uint64_t)client << 32 | port);

	h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ULL;
	h = (h ^ (h >> 29)) * (b->seed | 1U);
	return &b->buckets[(h >> 40) & (BUCKETS - 1)];
}

static void wish_free(struct wish *wish)
{
	int fd = wish->source.fd;

	if (wish->at) {
		*wish->at = wish->next;
		if (wish->next)
			wish->next->at = wish->at;
	}
	*wish->at_owner = wish->next_of_owner;
	if (wish->next_of_owner)
		wish->next_of_owner->at_owner = wish->at_owner;
	wish->owner->n_wishes--;
	loop_fd_remove(wish->owner->broker->loop, &wish->source);
	(void)fd_close(fd);
	free(wish);
}

/* The oldest of the other side, for a listener; for one that connects, the listener. */
static struct wish *counterpart(struct wish *first, const struct wish *of)
{
	struct wish *found = NULL;

	for (struct wish *w = first; w; w = w->next)
		if (w->listens != of->listens && w->server == of->server &&
		    w->client == of->client && w->port == of->port)
			found = w;
	return found;
}

static struct wish *older_listener(struct wish *first, const struct wish *than)
{
	for (struct wish *w = first; w; w = w->next)
		if (w->listens && w->server == than->server && w->client == than->client &&
		    w->port == than->port)
			return w;
	return NULL;
}

static int answer(const struct wish *wish, int end)
{
	uint8_t data[BROKER_ANSWER_LEN];

	broker_encode_answer(data);
	return fd_send_message(wish->source.fd, data, sizeof(data), &end, 1) == sizeof(data) ? 0
	                                                                                     : -1;
}

/* Both wishes are over, but for that of a side that lives while the other one has gone. */
static void join(struct wish *a, struct wish *b)
{
	struct wish *server = a->listens ? a : b;
	struct wish *client = a->listens ? b : a;
	OWNED_FD int left = -1;
	OWNED_FD int right = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) {
		LOG_ERRNO("a channel between %u and %u", server->server, server->client);
		wish_free(server);
		wish_free(client);
		return;
	}
	left = pair[0];
	right = pair[1];
	/* A server that is gone leaves its client waiting for the next one. */
	if (answer(server, left)) {
		wish_free(server);
		return;
	}
	(void)answer(client, right);
	wish_free(server);
	wish_free(client);
}

static void on_withdrawn(void *arg, uint32_t events)
{
	(void)events;
	/* It has nothing more to say; whatever it is, the wish is over. */
	wish_free(arg);
}

static void take_wish(struct wish *wish, const struct broker_question *q)
{
	struct domain *d = wish->owner;
	struct wish **bucket, *other;

	wish->listens = q->op == BROKER_LISTEN;
	wish->server = wish->listens ? d->domid : q->peer;
	wish->client = wish->listens ? q->peer : d->domid;
	wish->port = q->port;
	bucket = bucket_of(d->broker, wish->server, wish->client, wish->port);
	if (wish->listens && (other = older_listener(*bucket, wish)))
		wish_free(other);
	wish->source.fn = on_withdrawn;
	other = counterpart(*bucket, wish);
	wish->next = *bucket;
	wish->at = bucket;
	if (wish->next)
		wish->next->at = &wish->next;
	*bucket = wish;
	if (other)
		join(wish, other);
}

static void on_question(void *arg, uint32_t events)
{
	struct wish *wish = arg;
	uint8_t data[BROKER_QUESTION_LEN];
	struct broker_question q;
	ssize_t n = recv(wish->source.fd, data, sizeof(data), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A question is sent with one call and so comes whole. */
	if (n != sizeof(data) || broker_decode_question(data, &q) || q.peer == wish->owner->domid) {
		if (n > 0)
			LOG_QUBE(&wish->owner->log_limit,
			         "domain %u: a question about channels that is none",
			         wish->owner->domid);
		wish_free(wish);
		return;
	}
	take_wish(wish, &q);
}

static int wish_new(struct domain *d, int fd)
{
	struct wish *wish = calloc(1, sizeof(*wish));

	if (!wish)
		return -1;
	wish->source = (struct loop_fd)LOOP_FD_EMPTY;
	wish->owner = d;
	if (loop_fd_add(d->broker->loop, &wish->source, fd, EPOLLIN | EPOLLRDHUP, on_question,
	                wish)) {
		free(wish);
		return -1;
	}
	wish->next_of_owner = d->wishes;
	wish->at_owner = &d->wishes;
	if (d->wishes)
		d->wishes->at_owner = &wish->next_of_owner;
	d->wishes = wish;
	d->n_wishes++;
	/* The question is there in nearly every case. */
	on_question(wish, EPOLLIN);
	return 0;
}

static void on_pause_end(void *arg)
{
	struct broker *b = arg;

	for (struct domain *d = b->domains; d; d = d->next)
		loop_fd_set(b->loop, &d->listener, EPOLLIN);
}

/* Connections wait in the kernel meanwhile. */
static void pause_accepting(struct broker *b)
{
	for (struct domain *d = b->domains; d; d = d->next)
		loop_fd_set(b->loop, &d->listener, 0);
	if (loop_timer_set(b->loop, &b->pause, PAUSE_MS, on_pause_end, b))
		on_pause_end(b);
}

static void on_connection(void *arg, uint32_t events)
{
	struct domain *d = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_TURN; i++) {
		int fd = accept4(d->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
				pause_accepting(d->broker);
			return;
		}
		if (d->n_wishes >=
		    (d->domid == 0 ? LIMIT_CHANNEL_WISHES_DOM0 : LIMIT_CHANNEL_WISHES)) {
			LOG_QUBE(&d->log_limit, "domain %u has too many channels being made",
			         d->domid);
			(void)fd_close(fd);
		} else if (wish_new(d, fd)) {
			(void)fd_close(fd);
		}
	}
}

static struct domain *find(struct broker *b, uint32_t domid)
{
	struct domain *d = b->domains;

	while (d && d->domid != domid)
		d = d->next;
	return d;
}

/* DOMID/broker.sock; short, because the working directory is the broker's own. */
static void socket_name(char *dst, size_t dst_len, uint32_t domid, bool is_folder)
{
	(void)snprintf(dst, dst_len, "%u%s", domid, is_folder ? "" : "/broker.sock");
}

static int listen_for(struct domain *d)
{
	char folder[32], path[32];
	int fd;

	socket_name(folder, sizeof(folder), d->domid, true);
	socket_name(path, sizeof(path), d->domid, false);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return -1;
	/* A qube's processes have another user id than the broker; who comes in here is the qube. */
	fd = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, d->domid == 0 ? 0660 : 0666,
	                    BACKLOG);
	if (fd < 0)
		return -1;
	if (loop_fd_add(d->broker->loop, &d->listener, fd, EPOLLIN, on_connection, d))
		return fd_close(fd);
	return 0;
}

/* without its files: they are for the next start */
static void forget(struct broker *b, struct domain *d)
{
	struct domain **at = &b->domains;
	int fd = d->listener.fd;

	while (d->wishes)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): wish_free() unlinks it */
		wish_free(d->wishes);
	loop_fd_remove(b->loop, &d->listener);
	(void)fd_close(fd);
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	free(d);
}

int broker_add(struct broker *b, uint32_t domid)
{
	struct domain *d;

	if (domid >= BROKER_DOMAIN_MAX) {
		errno = EINVAL;
		return -1;
	}
	/* The folder stays: it is bound into a qube that runs. */
	d = find(b, domid);
	if (d)
		forget(b, d);
	d = calloc(1, sizeof(*d));
	if (!d)
		return -1;
	d->broker = b;
	d->domid = domid;
	d->listener = (struct loop_fd)LOOP_FD_EMPTY;
	d->log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	if (listen_for(d)) {
		free(d);
		return -1;
	}
	d->next = b->domains;
	b->domains = d;
	return 0;
}

void broker_remove(struct broker *b, uint32_t domid)
{
	struct domain *d = find(b, domid);
	char path[32];

	if (!d)
		return;
	forget(b, d);
	socket_name(path, sizeof(path), domid, false);
	(void)unlink(path);
	socket_name(path, sizeof(path), domid, true);
	(void)rmdir(path);
}

struct broker *broker_new(struct loop *loop)
{
	struct broker *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->loop = loop;
	if (getrandom(&b->seed, sizeof(b->seed), 0) != sizeof(b->seed)) {
		free(b);
		return NULL;
	}
	return b;
}

struct broker *broker_free(struct broker *b)
{
	if (!b)
		return NULL;
	while (b->domains)
		forget(b, b->domains);
	loop_timer_clear(b->loop, &b->pause);
	free(b);
	return NULL;
}
