/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local sockets: one for reading and writing, one for reading. Each connection is a state machine
 * of its own, so one that stops in the middle of a message, or does not read, delays nobody.
 *
 * Trust: a local program may be anybody's; it can only change what the socket allows.
 * Source: doc/protocol/qubesdb.md, 3.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/limits.h"
#include "qubesdb/db.h"
#include "qubesdb/input.h"
#include "qubesdb/queue.h"

#define MESSAGES_TURN 32          /* of one connection; chosen */
#define UNREAD_MAX    (64U << 10) /* no more requests are read while so much waits; chosen */
#define PAUSE_MS      50          /* without a free descriptor; chosen */

struct watch {
	struct watch *next;
	char path[QUBESDB_PATH_LEN];
};

struct client {
	struct client *next;
	struct local *local;
	struct loop_fd source; /* the connection, owned */
	bool read_only;
	bool last; /* nothing more is read; closed once all was sent */
	bool dead; /* to be freed */
	struct watch *watches;
	uint32_t n_watches;
	struct queue out;
	struct input in;
};

struct local {
	struct db *db;
	struct loop_fd rw, ro; /* owned */
	struct client *clients;
	uint32_t n_clients;
	struct loop_defer reap;
	struct loop_timer pause;
};

static void client_free(struct client *c)
{
	int fd = c->source.fd;

	loop_fd_remove(c->local->db->loop, &c->source);
	(void)fd_close(fd);
	while (c->watches) {
		struct watch *w = c->watches;

		c->watches = w->next;
		free(w);
	}
	queue_fini(&c->out);
	c->local->n_clients--;
	free(c);
}

static void reap(void *arg)
{
	struct local *local = arg;
	struct client **at = &local->clients;

	while (*at) {
		struct client *c = *at;

		if (c->dead) {
			*at = c->next;
			client_free(c);
		} else {
			at = &c->next;
		}
	}
}

/* It is freed when nobody works with the list any more. */
static void client_end(struct client *c)
{
	c->dead = true;
	loop_fd_set(c->local->db->loop, &c->source, 0);
	loop_defer_set(c->local->db->loop, &c->local->reap, reap, c->local);
}

static void flush(struct client *c)
{
	bool reads;

	while (!c->dead && queue_len(&c->out) > 0) {
		ssize_t n = send(c->source.fd, queue_data(&c->out), queue_len(&c->out),
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			client_end(c);
			return;
		}
		queue_take(&c->out, (size_t)n);
	}
	if (c->dead)
		return;
	if (c->last && queue_len(&c->out) == 0) {
		client_end(c);
		return;
	}
	reads = !c->last && queue_len(&c->out) < UNREAD_MAX;
	loop_fd_set(c->local->db->loop, &c->source,
	            (reads ? EPOLLIN : 0U) | (queue_len(&c->out) > 0 ? EPOLLOUT : 0U));
}

static void put(struct client *c, enum qubesdb_type type, const char *path, const void *data,
                size_t len)
{
	if (!c->dead && queue_message(&c->out, type, path, data, len))
		client_end(c);
}

static bool watch_matches(const char *watch, const char *path)
{
	size_t len = strlen(watch);

	return len > 0 && watch[len - 1] == '/' ? strncmp(watch, path, len) == 0
	                                        : strcmp(watch, path) == 0;
}

void local_changed(struct local *local, const char *path)
{
	for (struct client *c = local->clients; c; c = c->next) {
		bool told = false;

		for (const struct watch *w = c->watches; w && !c->dead; w = w->next) {
			if (!watch_matches(w->path, path))
				continue;
			put(c, QUBESDB_RESP_WATCH, path, NULL, 0);
			told = true;
		}
		if (told)
			flush(c);
	}
}

/* Requests. Each answers; the answer of a change comes before the events that it causes. */

static void do_read(struct client *c, const char *path)
{
	const struct store_entry *entry = entries_find(&c->local->db->store, path);

	if (input_data_len(&c->in) > 0) {
		c->last = true; /* as the original */
	} else if (entry) {
		put(c, QUBESDB_RESP_READ, path, entry->value, entry->len);
	} else {
		put(c, QUBESDB_ERROR_NOENT, path, NULL, 0);
	}
}

static void do_write(struct client *c, const char *path)
{
	struct db *db = c->local->db;
	const void *value = input_data(&c->in);
	size_t len = input_data_len(&c->in);

	if (c->read_only || memchr(value, 0, len)) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
	} else if (!qubesdb_key_ok(path)) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
		c->last = true;
	} else if (entries_write(&db->store, path, value, len)) {
		LOG_ERRNO("an entry that a local program wrote");
		put(c, QUBESDB_ERROR, path, NULL, 0);
	} else {
		put(c, QUBESDB_OK, path, NULL, 0);
		local_changed(c->local, path);
		if (db->peer)
			peer_forward(db->peer, QUBESDB_WRITE, path, value, len);
	}
}

static void do_remove(struct client *c, const char *path)
{
	struct db *db = c->local->db;

	if (c->read_only || input_data_len(&c->in) > 0) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
	} else if (!entries_remove(&db->store, path)) {
		put(c, QUBESDB_ERROR_NOENT, path, NULL, 0);
	} else {
		put(c, QUBESDB_OK, path, NULL, 0);
		local_changed(c->local, path);
		if (db->peer)
			peer_forward(db->peer, QUBESDB_RM, path, NULL, 0);
	}
}

/* "" is everything, and MULTIREAD gives that backwards, which programs have come to see. */
static void do_list(struct client *c, const char *path, bool values)
{
	const struct store *store = &c->local->db->store;
	enum qubesdb_type type = values ? QUBESDB_RESP_MULTIREAD : QUBESDB_RESP_LIST;
	bool backwards = values && *path == '\0';
	size_t from, to;

	if (input_data_len(&c->in) > 0) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
		return;
	}
	entries_range(store, path, &from, &to);
	for (size_t i = 0; i < to - from && !c->dead; i++) {
		const struct store_entry *e = store->entries[backwards ? to - 1 - i : from + i];

		put(c, type, e->path, values ? e->value : NULL, values ? e->len : 0);
	}
	put(c, type, "", NULL, 0);
}

static void do_watch(struct client *c, const char *path)
{
	struct watch *w = c->n_watches < LIMIT_QUBESDB_WATCHES && input_data_len(&c->in) == 0
	                          ? calloc(1, sizeof(*w))
	                          : NULL;

	if (!w) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
		return;
	}
	memcpy(w->path, path, strlen(path) + 1);
	w->next = c->watches;
	c->watches = w;
	c->n_watches++;
	put(c, QUBESDB_OK, path, NULL, 0);
}

static void do_unwatch(struct client *c, const char *path)
{
	struct watch **at = &c->watches;
	struct watch *w;

	while (*at && strcmp((*at)->path, path) != 0)
		at = &(*at)->next;
	w = *at;
	if (w) {
		*at = w->next;
		free(w);
		c->n_watches--;
	}
	put(c, w ? QUBESDB_OK : QUBESDB_ERROR_NOENT, path, NULL, 0);
}

static void handle(struct client *c)
{
	char path[QUBESDB_PATH_LEN];

	memcpy(path, c->in.head.path, sizeof(path));
	if (c->in.too_long || !qubesdb_path_ok(path)) {
		put(c, QUBESDB_ERROR, path, NULL, 0);
		return;
	}
	switch (c->in.head.untrusted_type) {
	case QUBESDB_READ:
		do_read(c, path);
		break;
	case QUBESDB_WRITE:
		do_write(c, path);
		break;
	case QUBESDB_MULTIREAD:
		do_list(c, path, true);
		break;
	case QUBESDB_LIST:
		do_list(c, strcmp(path, "/") == 0 ? "" : path, false);
		break;
	case QUBESDB_RM:
		do_remove(c, path);
		break;
	case QUBESDB_WATCH:
		do_watch(c, path);
		break;
	case QUBESDB_UNWATCH:
		do_unwatch(c, path);
		break;
	default:
		put(c, QUBESDB_ERROR, path, NULL, 0);
		break;
	}
}

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;

	for (int i = 0; i < MESSAGES_TURN && events & ~(uint32_t)EPOLLOUT; i++) {
		size_t room;
		uint8_t *at = input_room(&c->in, &room);
		ssize_t n;

		if (c->dead || c->last || queue_len(&c->out) >= UNREAD_MAX)
			break;
		n = recv(c->source.fd, at, room, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			client_end(c);
			return;
		}
		if (input_add(&c->in, (size_t)n)) {
			handle(c);
			input_next(&c->in);
		}
	}
	if (!c->dead)
		flush(c);
	/* Nothing is waited for, and its end would be told over and over. */
	if (!c->dead && events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		client_end(c);
}

/* Connections. */

static void add_client(struct local *local, int fd, bool read_only)
{
	struct client *c = local->n_clients < LIMIT_QUBESDB_CLIENTS ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		(void)fd_close(fd);
		return;
	}
	c->local = local;
	c->read_only = read_only;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	if (loop_fd_add(local->db->loop, &c->source, fd, EPOLLIN, on_client, c)) {
		(void)fd_close(fd);
		free(c);
		return;
	}
	c->next = local->clients;
	local->clients = c;
	local->n_clients++;
}

static void on_pause_end(void *arg)
{
	struct local *local = arg;

	loop_fd_set(local->db->loop, &local->rw, EPOLLIN);
	loop_fd_set(local->db->loop, &local->ro, EPOLLIN);
}

static void accept_one(struct local *local, struct loop_fd *listener, bool read_only)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		add_client(local, fd, read_only);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		loop_fd_set(local->db->loop, listener, 0);
		if (loop_timer_set(local->db->loop, &local->pause, PAUSE_MS, on_pause_end, local))
			on_pause_end(local);
	}
}

static void on_rw(void *arg, uint32_t events)
{
	struct local *local = arg;

	(void)events;
	accept_one(local, &local->rw, false);
}

static void on_ro(void *arg, uint32_t events)
{
	struct local *local = arg;

	(void)events;
	accept_one(local, &local->ro, true);
}

struct local *local_new(struct db *db, int rw_fd, int ro_fd)
{
	struct local *local = calloc(1, sizeof(*local));

	if (!local) {
		(void)fd_close(rw_fd);
		(void)fd_close(ro_fd);
		return NULL;
	}
	local->db = db;
	local->rw = local->ro = (struct loop_fd)LOOP_FD_EMPTY;
	if (fd_set_blocking(rw_fd, false) || fd_set_blocking(ro_fd, false) ||
	    loop_fd_add(db->loop, &local->rw, rw_fd, EPOLLIN, on_rw, local) ||
	    loop_fd_add(db->loop, &local->ro, ro_fd, EPOLLIN, on_ro, local)) {
		loop_fd_remove(db->loop, &local->rw);
		(void)fd_close(rw_fd);
		(void)fd_close(ro_fd);
		free(local);
		return NULL;
	}
	return local;
}

struct local *local_free(struct local *local)
{
	int rw, ro;

	if (!local)
		return NULL;
	for (struct client *c = local->clients; c; c = c->next)
		c->dead = true;
	reap(local);
	loop_defer_clear(local->db->loop, &local->reap);
	loop_timer_clear(local->db->loop, &local->pause);
	rw = local->rw.fd;
	ro = local->ro.fd;
	loop_fd_remove(local->db->loop, &local->rw);
	loop_fd_remove(local->db->loop, &local->ro);
	(void)fd_close(rw);
	(void)fd_close(ro);
	free(local);
	return NULL;
}
