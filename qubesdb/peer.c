/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other side of the channel. What it sends is checked whole before anything is done; what it must
 * not send ends the channel and nothing else. Nothing waits for it: what it does not take waits here
 * up to a limit, and over that the channel ends, for a new one begins with all entries anyway.
 *
 * Trust: dom0's side holds the qube for hostile.
 * Source: doc/protocol/qubesdb.md, 4.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "proto/limits.h"
#include "qubesdb/db.h"
#include "qubesdb/input.h"
#include "qubesdb/queue.h"

#define PIECES_TURN 64          /* of what comes; chosen */
#define UNREAD_MAX  (64U << 10) /* no more is read while so much waits to be taken; chosen */

struct peer {
	struct db *db;
	struct vchan *vchan; /* owned */
	struct loop_fd source;
	struct loop_defer more;
	struct peer_events events;
	struct log_limit log_limit;
	bool is_dom0;
	bool synced; /* dom0: entries were asked for; the qube: they have come */
	bool ended;
	struct queue out;
	struct input in;
};

static void work(void *arg);

static void end(struct peer *p, enum peer_end why)
{
	if (p->ended)
		return;
	p->ended = true;
	loop_fd_remove(p->db->loop, &p->source);
	loop_defer_clear(p->db->loop, &p->more);
	p->events.ended(p->events.arg, why);
}

static void put(struct peer *p, enum qubesdb_type type, const char *path, const void *data,
                size_t len)
{
	if (p->ended || queue_message(&p->out, type, path, data, len) == 0)
		return;
	LOG_QUBE(&p->log_limit, "the other side does not read");
	end(p, PEER_BROKE);
}

static void flush(struct peer *p)
{
	while (!p->ended && queue_len(&p->out) > 0 &&
	       vchan_writable(p->vchan, queue_len(&p->out)) > 0) {
		ssize_t n = vchan_write(p->vchan, queue_data(&p->out), queue_len(&p->out));

		if (n <= 0)
			break;
		queue_take(&p->out, (size_t)n);
	}
}

static void broke(struct peer *p, const char *what)
{
	LOG_QUBE(&p->log_limit, "the other side sent %s", what);
	end(p, PEER_BROKE);
}

/* With ERROR, as the original; it may not arrive. */
static void broke_answered(struct peer *p, const char *path, const char *what)
{
	put(p, QUBESDB_ERROR, path, NULL, 0);
	flush(p);
	broke(p, what);
}

static void take_write(struct peer *p, const char *path)
{
	const void *value = input_data(&p->in);
	size_t len = input_data_len(&p->in);

	if (!qubesdb_key_ok(path)) {
		broke_answered(p, path, "an entry whose path is none");
	} else if (memchr(value, 0, len)) {
		put(p, QUBESDB_ERROR, path, NULL, 0);
	} else if (db_write(p->db, path, value, len)) {
		LOG_QUBE(&p->log_limit, "the store is full: %s was not written", path);
		put(p, QUBESDB_ERROR, path, NULL, 0);
	} else {
		put(p, QUBESDB_OK, path, NULL, 0);
	}
}

/* OK as well where there is nothing: the original's NOENT ends its own other side. */
static void take_remove(struct peer *p, const char *path)
{
	(void)db_remove(p->db, path);
	put(p, QUBESDB_OK, path, NULL, 0);
}

static void take_question(struct peer *p, const char *path)
{
	const struct store *store = &p->db->store;
	size_t from, to;

	if (p->synced) {
		broke_answered(p, path, "a second question for all entries");
		return;
	}
	p->synced = true;
	entries_range(store, path, &from, &to);
	for (size_t i = to; i > from && !p->ended; i--)
		put(p, QUBESDB_RESP_MULTIREAD, store->entries[i - 1]->path,
		    store->entries[i - 1]->value, store->entries[i - 1]->len);
	put(p, QUBESDB_RESP_MULTIREAD, "", NULL, 0);
}

static void take_entry(struct peer *p, const char *path)
{
	size_t len = input_data_len(&p->in);

	if (*path == '\0' && len == 0) {
		p->synced = true;
		p->events.synced(p->events.arg);
	} else if (!qubesdb_key_ok(path) || memchr(input_data(&p->in), 0, len) ||
	           db_write(p->db, path, input_data(&p->in), len)) {
		broke(p, "an entry that cannot be taken");
	}
}

static void handle(struct peer *p)
{
	char path[QUBESDB_PATH_LEN];
	size_t len = p->in.too_long ? 0 : input_data_len(&p->in);

	memcpy(path, p->in.head.path, sizeof(path));
	switch (p->in.head.untrusted_type) {
	case QUBESDB_WRITE:
		take_write(p, path);
		break;
	case QUBESDB_RM:
		if (len > 0)
			broke_answered(p, path, "data with RM");
		else
			take_remove(p, path);
		break;
	case QUBESDB_MULTIREAD:
		if (!p->is_dom0 || len > 0)
			broke_answered(p, path, "a question for entries");
		else
			take_question(p, path);
		break;
	case QUBESDB_OK:
		if (len > 0)
			broke(p, "data with OK");
		break;
	case QUBESDB_ERROR:
		if (len > 0)
			broke(p, "data with ERROR");
		else
			LOG_QUBE(&p->log_limit, "the other side refused %s", path);
		break;
	case QUBESDB_RESP_MULTIREAD:
		if (p->is_dom0 || p->synced)
			broke(p, "entries that nobody asked for");
		else
			take_entry(p, path);
		break;
	default:
		broke(p, "a message of a kind that it may not send");
		break;
	}
}

/* Whether there may be more. Data that is too long is not waited for. */
static bool take_piece(struct peer *p)
{
	size_t room;
	uint8_t *at = input_room(&p->in, &room);
	ssize_t n;

	if (queue_len(&p->out) >= UNREAD_MAX || vchan_readable(p->vchan, 1) == 0)
		return false;
	n = vchan_read(p->vchan, at, room);
	if (n <= 0)
		return false;
	if (input_add(&p->in, (size_t)n)) {
		if (!qubesdb_path_ok(p->in.head.path))
			broke(p, "a path that is none");
		else
			handle(p);
		input_next(&p->in);
	} else if (p->in.too_long) {
		broke(p, "more data than a message can have");
	}
	return !p->ended;
}

static void work(void *arg)
{
	struct peer *p = arg;

	for (int i = 0; i < PIECES_TURN && take_piece(p); i++)
		;
	flush(p);
	if (p->ended)
		return;
	if (queue_len(&p->out) < UNREAD_MAX && vchan_readable(p->vchan, 1) > 0)
		loop_defer_set(p->db->loop, &p->more, work, p);
	else if (vchan_state(p->vchan) == VCHAN_CLOSED)
		end(p, PEER_CLOSED);
}

static void on_channel(void *arg, uint32_t events)
{
	struct peer *p = arg;

	(void)events;
	(void)vchan_step(p->vchan);
	work(p);
}

void peer_forward(struct peer *peer, enum qubesdb_type type, const char *path, const void *value,
                  size_t len)
{
	/* Before it asked for all entries it does not know any: the change is among them then. */
	if (!peer->synced)
		return;
	put(peer, type, path, value, len);
	flush(peer);
}

struct peer *peer_new(struct db *db, struct vchan *vchan, bool is_dom0,
                      const struct peer_events *events)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p) {
		(void)vchan_close(vchan);
		return NULL;
	}
	p->db = db;
	p->vchan = vchan;
	p->is_dom0 = is_dom0;
	p->events = *events;
	p->source = (struct loop_fd)LOOP_FD_EMPTY;
	p->log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	if (loop_fd_add(db->loop, &p->source, vchan_fd(vchan), EPOLLIN, on_channel, p))
		return peer_free(p);
	if (!is_dom0)
		put(p, QUBESDB_MULTIREAD, "", NULL, 0);
	/* It may have written before we came; and the question goes. */
	loop_defer_set(db->loop, &p->more, work, p);
	return p;
}

struct peer *peer_free(struct peer *p)
{
	if (!p)
		return NULL;
	loop_fd_remove(p->db->loop, &p->source);
	loop_defer_clear(p->db->loop, &p->more);
	(void)vchan_close(p->vchan);
	queue_fini(&p->out);
	free(p);
	return NULL;
}
